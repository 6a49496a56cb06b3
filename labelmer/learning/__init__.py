"""What training a model and fine-tuning an encoder share."""
