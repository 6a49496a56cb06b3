"""The corpora that labelmer can read, by the name that config.yaml gives them.

A reader is a module here with sessions, speakers, audio_files, utterances, labels and clips.
"""

from labelmer.corpus.readers import iemocap, manifest

READERS = {"iemocap": iemocap, "manifest": manifest}
