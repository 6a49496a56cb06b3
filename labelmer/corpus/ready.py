"""The config for a corpus that became a manifest, ready to be run: YAML with comments."""

import json
import re
import shlex
from pathlib import Path

import pandas as pd
import yaml

from labelmer.corpus.recipes import Facts

PLAIN = re.compile(r"[A-Za-z][\w ./'-]+")  # what needs no quotes, if it is no word of YAML's own
FEWEST_SCENARIOS = 3  # one group tests, one validates, the others train

SOURCES = {  # name in the config: source, layer
    "wav2vec2-base": ("hub:facebook/wav2vec2-base@0b5b8e868dd84f03fd87d01f9c4ff0f080fecfe8", 8),
    "bert-base-uncased": (
        "hub:google-bert/bert-base-uncased@86b5e0934494bd15c9632b12f734a8a67f723594",
        10,
    ),
    "xls-r-300m": ("hub:facebook/wav2vec2-xls-r-300m@1a640f32ac3e39899438a2931f9924c02f080a54", 12),
    "xlm-roberta-base": (
        "hub:FacebookAI/xlm-roberta-base@e73636d4f797dec63c3081bb6ed5c7b0bb3f2089",
        10,
    ),
}
ADDITIVE = (
    "{experts: true, label_interaction: false, label_guidance: false, cross_attention: false, "
    "pooling: attention}"
)
VARIANTS = {  # name: entry, does it need words?
    "full": ("{}", True),
    "additive": (ADDITIVE, True),
    "speech-only": ("{modalities: [speech]}", False),
    "text-only": ("{modalities: [text]}", True),
    "late-fusion": ("{product_of: [speech-only, text-only]}", True),
    "linear": ("{architecture: linear}", True),
    "linear-speech": ("{architecture: linear, modalities: [speech]}", False),
    "linear-text": ("{architecture: linear, modalities: [text]}", True),
    "metadata-only": ("{architecture: metadata}", False),
}


def config_text(
    name: str,
    command: str,
    facts: Facts,
    manifest: Path | str,
    config: Path | str,
    rows: pd.DataFrame,
) -> str:
    """A config for a corpus.

    name: of the corpus; command: what makes the manifest; manifest and config: where the two
    are; rows: those of the manifest.
    """
    spoken = (rows.text != "").any()
    words = facts.words and spoken
    variants = {key: entry for key, (entry, wordy) in VARIANTS.items() if words or not wordy}
    speech, text = "wav2vec2-base", "bert-base-uncased"
    if facts.language != "English":
        speech, text = "xls-r-300m", "xlm-roberta-base"
    run = ["snakemake", "--configfile", str(config)]
    lines = [
        f"# {facts.title}, {facts.language}; {facts.where}; licence: {facts.licence}.",
        f"# The manifest is made by: {command}",
        f"# Run it with: {shlex.join(run)} --cores 8 --resources gpu=1",
        "# Keys: docs/configuration.md and workflow/schemas/config.schema.yaml.",
        "",
        "corpus:",
        f"  name: {_scalar(name)}",
        "  reader: manifest",
        f"  root: {_scalar(str(manifest))}",
        "",
        "labels:                          # class: the corpus' codes, and words for it",
    ]
    for label, (codes, meant) in facts.classes.items():
        said = ", ".join(map(_scalar, codes))
        line = f"{_scalar(label)}: {{codes: [{said}], words: {_scalar(meant)}}}"
        there = rows.label.isin(codes).any()
        lines.append(f"  {line}" if there else f"  # {line}  # no clip here")
    lines += ["", "folds:", *_folds(facts, rows), "", "encoders:"]
    for encoder, modality in ((speech, "speech"), (text, "text")):
        source, layer = SOURCES[encoder]
        lines += [f"  {encoder}:", f"    modality: {modality}", f"    source: {source}"]
        lines += [f"    layer: {layer}"]
    lines += _own_encoder(facts)
    lines += ["", "variants:", *(f"  {key}: {entry}" for key, entry in variants.items())]
    if not words:
        why = "the words do not" if spoken else "there are no words"
        lines.append(f"  # No text encoder can tell emotions here: {why}.")
    lines += ["", "experiments:", f"  - speech: {speech}", f"    text: {text}", "    mode: frozen"]
    lines += [f"    variants: [{', '.join(variants)}]", "", "seeds: [1]", "gpu: true"]
    return "\n".join(lines) + "\n"


def _folds(facts: Facts, rows: pd.DataFrame) -> list[str]:
    """The lines of the section, for the speakers that there are."""
    folds, lines = dict(facts.folds), [f"  # {line}" for line in facts.advice]
    groups = 0
    if folds["hold_out"] == "speakers":
        groups = max(2, min(int(folds["folds"]), rows.speaker.nunique()))
        folds["folds"] = groups
    if groups == 2:  # nobody is left to validate
        folds["validation"] = "dialogues"
        lines.append("  # Too few speakers for one that validates: those of training do as well.")
    lines += [f"  {key}: {value}" for key, value in folds.items()]
    scenarios = rows.scenario.nunique() if "scenario" in rows else 0
    if groups > 2 and scenarios >= FEWEST_SCENARIOS:
        lines.append("  # scenarios: apart              # no sentence of the test part trains")
        lines.append(f"  # scenario_groups: {min(5, scenarios)}")
    return lines


def _own_encoder(facts: Facts) -> list[str]:
    if not facts.encoder:
        return []
    return [
        "  # Of the language alone; REVISION is the commit, 40 digits, on the model's page.",
        f"  # {facts.encoder.partition('/')[2]}:",
        "  #   modality: text",
        f"  #   source: hub:{facts.encoder}@REVISION",
        "  #   layer: 10",
    ]


def _scalar(text: str) -> str:
    """A text as YAML has it, in quotes where it would be something else without."""
    if PLAIN.fullmatch(text) and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=False)
