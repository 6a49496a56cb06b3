"""labelmer: label-guided multimodal emotion recognition as one reproducible, cached workflow.

labelmer.load(MODEL) is what `labelmer bundle` made, ready to predict.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labelmer.prediction.predictor import Prediction, Predictor

__version__ = "0.1.0"
__all__ = ["Prediction", "Predictor", "load"]


def load(folder: Any, device: str = "cpu") -> "Predictor":
    """The bundle in a folder as a Predictor: load("model")("hello.wav", "What a day.").label"""
    return __getattr__("Predictor")(folder, device)


def __getattr__(name: str) -> Any:  # torch takes seconds: only who predicts pays for it
    if name not in ("Prediction", "Predictor"):
        raise AttributeError(f"module 'labelmer' has no attribute '{name}'")
    from labelmer.prediction import predictor

    return getattr(predictor, name)
