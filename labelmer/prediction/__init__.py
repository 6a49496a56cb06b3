"""What was trained, in use: bundles of models, and what they say of new recordings."""
