"""Encoders, and what they make of utterances."""
