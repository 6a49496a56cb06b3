"""What the config says of a speech recogniser. Without torch, to be checked at once."""

from dataclasses import dataclass
from typing import Any

from labelmer.base.options import NAME, option, schema_of


@dataclass(frozen=True)
class TranscriberOptions:
    """A speech recogniser, whose words stand beside the corpus' own."""

    name: str = option("words go to `transcripts/NAME`", example="whisper-tiny.en", **NAME)
    source: str = option(
        "a whole Whisper checkpoint, decoder and tokenizer included",
        example="hub:openai/whisper-tiny.en@87c7102498dcde7456f24cfd30239ca606ed9063",
        pattern=r"^(hub:[^/@]+/[^/@]+@[0-9a-f]{40}|path:.+|package:.+)$",
        expected="hub:OWNER/NAME@REVISION (40 hexadecimal digits), path:FOLDER or "
        "package:MODULE/FOLDER",
    )
    language: str = option(
        "what is spoken, by Whisper's code; needed for a multilingual checkpoint, and not taken "
        "by one that knows English alone",
        None,
        "pl",
        minLength=2,
    )
    beam: int = option("hypotheses that are followed at once", 1, 5, minimum=1)
    no_speech: float = option(
        "a stretch in which the probability that nobody speaks is above this has no words",
        0.6,
        0.8,
        minimum=0,
        maximum=1,
    )
    repetition: float = option(
        "a stretch whose words compress by more than this repeats itself, and is left without",
        2.4,
        3.0,
        exclusiveMinimum=1,
    )


def transcription_rules() -> dict[str, Any]:
    """The rules of what the stage transcribe is told."""
    said = schema_of(TranscriberOptions)["properties"]
    return {key: rules for key, rules in said.items() if key not in ("name", "source")}
