"""Is a snapshot a whole Whisper checkpoint, and does it know a language? By its JSON files, without
torch: asked when it is fetched, and again when it recognises."""

from pathlib import Path

from labelmer.base import json_file
from labelmer.base.errors import InputError
from labelmer.base.options import OBJECT

WHOLE = "take a whole Whisper checkpoint, such as hub:openai/whisper-tiny.en@REVISION"
NEEDED = ("decoder_start_token_id", "no_timestamps_token_id", "eos_token_id")
TOKEN = {"anyOf": [{"type": "integer"}, {"type": "array"}], "expected": "a token's number"}
LANGUAGES = {"anyOf": [OBJECT, {"const": None}], "expected": "keys with values, or null"}
GENERATION = {
    **OBJECT,
    "required": list(NEEDED),
    "properties": {**dict.fromkeys(NEEDED, TOKEN), "lang_to_id": LANGUAGES},
}


def spoken(folder: Path, language: str | None) -> dict[str, str]:
    """What generate() is told of a language, Whisper's code; None of a checkpoint of English alone.

    InputError: no whole Whisper checkpoint, a language that it does not know, or does not ask for.
    """
    said = json_file.read(folder / "config.json", OBJECT, WHOLE)
    if said.get("model_type") != "whisper":
        raise InputError(
            f"{folder}: model_type '{said.get('model_type')}', expected whisper; {WHOLE}"
        )
    if not said.get("decoder_layers"):
        raise InputError(f"{folder}: an encoder alone, expected its decoder as well; {WHOLE}")
    told = json_file.read(folder / "generation_config.json", GENERATION, WHOLE)
    known = [mark.strip("<|>") for mark in told.get("lang_to_id") or {}]
    if not known and language is None:
        return {}
    if not known:
        raise InputError(
            f"{folder}: language '{language}', but the checkpoint knows English alone; take "
            "`language` out of the transcriber, or choose a multilingual checkpoint"
        )
    if language is None or language not in known:
        said_of = "no language" if language is None else f"language '{language}'"
        raise InputError(
            f"{folder}: {said_of}, expected one of {known}, as the checkpoint is multilingual; "
            "give the transcriber the `language` that is spoken"
        )
    return {"language": language, "task": "transcribe"}
