"""A corpus as it is distributed -> utterances, labels, audio, folds."""
