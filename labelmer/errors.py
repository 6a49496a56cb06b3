"""The one exception that is the user's to mend.

Apart from stage.py, so that a change of how errors and progress are shown changes no feature.
"""


class InputError(Exception):
    """Bad input. The message names the file, the id, the value, what was expected, what to do."""
