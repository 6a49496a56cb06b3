"""Plumbing: what every room may lean on, and what leans on none."""
