"""Predictions -> tables and the page. Never imports torch."""
