"""Result tables, histories and salience -> figures.

To add a figure is to add a file to this folder, and its caption in workflow/report: the file bears
the figure's name, says in FIGURE what it is of, and has a function draw(rows) that returns a
matplotlib figure. FIGURE is a literal that is read without running the file: the workflow lists the
figures each time it starts, and the page shows them, both without matplotlib.
"""

from dataclasses import dataclass
from pathlib import Path

from labelmer.base.literals import declared


@dataclass(frozen=True)
class Figure:
    """What a figure's file says of it.

    heading and caption are templates of Jinja, as those of Snakemake's reports are; on the page
    they are given what report/page.html is.
    """

    reads: str  # what draw() is given: rows of a result table, "histories" or "utterances"
    alt: str  # of its image: what it shows
    caption: str  # below it on the page, at whose top stand protocol, selection and measures
    heading: str = ""  # above it on the page
    each_variant: bool = False  # is there one for each variant, of its rows alone?
    empty: str = ""  # what is drawn in its place where the table has no row of the experiment


_declared = declared(Path(__file__).parent, "FIGURE")
FIGURES = {name: Figure(**said) for name, said in _declared.items()}
