"""Numbers from predictions, without torch and without files."""
