"""Networks and the linear baseline: training, predictions, late fusion."""
