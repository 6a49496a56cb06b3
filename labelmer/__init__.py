"""labelmer: label-guided multimodal emotion recognition as one reproducible, cached workflow."""

__version__ = "0.1.0"
