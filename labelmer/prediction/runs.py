"""The runs of a study, with what stands beside each: encoders, predictions, a transcriber.

A run is the folder results/NAME/STUDY/models/SPEECH+TEXT/MODE/VARIANT/foldF.seedS.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelmer.base import json_file, tables
from labelmer.base.description import described
from labelmer.base.digest import canonical_json
from labelmer.base.errors import InputError
from labelmer.base.options import OBJECT, TEXT
from labelmer.base.ragged import Ragged
from labelmer.base.trial import try_to_open
from labelmer.features import encoders
from labelmer.learning.origin import check_origin
from labelmer.prediction.bundled import bundle_around

PLACE = "results/NAME/STUDY/models/SPEECH+TEXT/MODE/VARIANT/foldF.seedS"
IN_MODELS = ("", "*/", "*/*/", "*/*/*/")  # from a folder in models/ to those of variants
ABOVE_MODELS = (
    "models/*/*/*/",
    "*/models/*/*/*/",
    "*/*/models/*/*/*/",
)  # from STUDY, NAME, results


@dataclass(frozen=True)
class Run:
    """A trained model of one fold and seed."""

    folder: Path
    about: dict[str, Any]  # its config.json

    @property
    def name(self) -> str:
        """foldF.seedS"""
        return self.folder.name

    @property
    def variant(self) -> str:
        return self.folder.parent.name

    @property
    def experiment(self) -> str:
        """SPEECH+TEXT/MODE"""
        return "/".join(self.folder.parts[-4:-2])

    @property
    def study(self) -> Path:
        """results/NAME/STUDY"""
        return self.folder.parents[4]

    @property
    def predictions(self) -> Path:
        """The table of its predictions, as `labelmer evaluate` or `linear` wrote it."""
        return self.study / "predictions" / self.experiment / self.variant / f"{self.name}.tsv"

    def encoder(self, modality: str) -> tuple[dict[str, Any], Path]:
        """How the features of a modality were made, and the folder of the encoder that made them.

        The first: name, modality, source, revision, weights and content (digests), layer, options
        of its family, dtype, precision, and whether it was fine-tuned.

        InputError: features or encoder are not there, or not those that the model was trained on.
        """
        known = self.about["encoders"][modality]
        name, tuned = known["encoder"], self.about["run"]["mode"] == "finetuned"
        corpus = self.study.parent
        if tuned:
            features = self.study / "features" / name / "finetuned" / self.name
            folder = self.study / "encoders" / name / self.name
        else:
            features = corpus / "features" / name / "frozen"
            folder = _resources(corpus) / "encoders" / name
        if modality == "text" and tables.is_recognised(self.experiment):
            # Whoever recognised the words: the encoder reads them alike.
            paths = sorted((features / "transcripts").rglob("*.h5"))
        else:
            paths = sorted(features.glob("*.h5"))
        if not paths:
            raise InputError(
                f"{features}: no features, expected those on which the model in {self.folder} was "
                "trained: they say how it is to be given others; extract them again"
            )
        try_to_open(paths[0])  # the results may be anybody's
        file = Ragged(paths[0])
        check_origin(file, known, f"on which the model in {self.folder} was trained")
        params, facts = json.loads(file.attrs["params"]), encoders.read_facts(folder, name)
        if facts["content"] != params["encoder"]:
            raise InputError(
                f"{folder}: not the encoder that made {paths[0]}; fetch it again, extract the "
                "features, and train on them"
            )
        family = encoders.family_of(folder)
        told = {
            "modality": modality,
            "name": name,
            **{fact: facts[fact] for fact in ("source", "revision", "weights", "content")},
            "layer": params["layer"],
            "options": {option: params[option] for option in family.options},
            "dtype": params["dtype"],
            # A GPU's is its own.
            "precision": params["precision"] if params["device"] == "cpu" else "float32",
            "finetuned": tuned,
        }
        return told, folder


def transcriber_of(corpus: Path, name: str | None) -> tuple[dict[str, Any], Path] | None:
    """How a corpus' words were recognised, and the folder of the checkpoint; None if none were.

    corpus: results/NAME; name: of the transcriber, needed where there are several. The first: name,
    source, revision, weights and content (digests) and options, as Recogniser takes them.

    InputError: there is no such transcriber, several and no name, or one whose checkpoint or
    options cannot be told.
    """
    tables_of: dict[str, list[Path]] = {}
    for path in sorted((corpus / "transcripts").glob("*/*.tsv")):
        tables_of.setdefault(path.parent.name, []).append(path)
    if not tables_of and name is None:
        return None
    if name not in tables_of:
        if name is not None or len(tables_of) > 1:
            raise InputError(
                f"{corpus / 'transcripts'}: words by the transcribers {sorted(tables_of)}, "
                f"expected {'one' if name is None else repr(name)}; choose one by --transcriber"
            )
        (name,) = tables_of
    folder = _resources(corpus) / "transcribers" / name
    facts = encoders.read_facts(folder, name)
    found = {canonical_json(_transcribed_with(p, facts["content"])) for p in tables_of[name]}
    if len(found) > 1:
        raise InputError(
            f"{tables_of[name][0].parent}: sessions recognised in different ways, {sorted(found)}, "
            "expected one; run the workflow to its end"
        )
    told = {fact: facts[fact] for fact in ("source", "revision", "weights", "content")}
    return {"name": name, **told, "options": json.loads(found.pop())}, folder


# What stands beside a table of recognised words; of the options the transcriber has the rules.
HEARD: dict[str, Any] = {
    "language": {},
    "beam": {},
    "no_speech": {},
    "repetition": {},
    "checkpoint": TEXT,
}


def _transcribed_with(table: Path, content: str) -> dict[str, Any]:
    """The options with which the words of a session were recognised. content: the checkpoint's."""
    path = table.with_suffix(".json")
    remedy = f"expected how the words in {table.name} were recognised; run the workflow to its end"
    rules = {**OBJECT, "required": list(HEARD), "properties": HEARD}
    told = json_file.read(path, rules, remedy)
    checkpoint = told["checkpoint"]
    if checkpoint != content:
        raise InputError(
            f"{path}: recognised by checkpoint {checkpoint[:12]}, expected {content[:12]}, which "
            "is fetched now; run the workflow to its end"
        )
    return {key: told[key] for key in HEARD if key != "checkpoint"}


def _resources(corpus: Path) -> Path:
    """The folder of what is fetched, the same for all corpora."""
    return corpus.parent.parent / "resources"


def variants_in(folder: Path) -> list[Path]:
    """The folders of variants that a folder of results is or holds, in order."""
    place = Path(os.path.normpath(folder.absolute()))  # as named: results may be a link
    ways = IN_MODELS if "models" in place.parts[-4:] else ABOVE_MODELS
    runs = (path for way in ways for path in folder.glob(f"{way}fold*.seed*/config.json"))
    return sorted({path.parents[1] for path in runs})


def instead_of(folder: Path) -> str:
    """What a folder is that is no bundle, and what to do for one."""
    place = Path(os.path.normpath(folder.absolute()))
    if not folder.exists():
        return "there is no such folder; correct the path"
    if bundle := bundle_around(folder):
        return f"a part of the bundle {bundle}, expected all of it; give that folder"
    if not folder.is_dir():
        return "a file, expected the folder of a bundle before all recordings; give it first"
    if (folder / "config.json").exists() and "models" in place.parts[-5:-4]:
        return f"a run, not a bundle; make one of it: labelmer bundle {folder} -o MODEL"
    variants = variants_in(folder)
    if variants == [folder]:
        return (
            f"a variant's runs, not a bundle; make one of them: labelmer bundle {folder} -o MODEL"
        )
    if variants:
        return (
            f"results, not a bundle; make one of a variant in them: labelmer bundle {variants[0]} "
            "-o MODEL"
        )
    return (
        "no bundle.json is there, expected a folder that `labelmer bundle` wrote: "
        "labelmer bundle RUN_FOLDER -o MODEL"
    )


def runs_in(folders: Iterable[Path]) -> list[Run]:
    """The runs that folders are, or hold, in order.

    InputError: a folder without a run, a run twice, one that is elsewhere than a study has it, or
    none that can be given audio or words.
    """
    found: dict[Path, Run] = {}
    for folder in folders:
        top = Path(os.path.normpath(folder.absolute()))  # as named: results may be a link
        paths = [top] if (top / "config.json").exists() else sorted(top.glob("fold*.seed*"))
        if not paths:
            raise InputError(
                f"{folder}: no model, expected the folder of a run or of a variant, {PLACE}; a "
                "late fusion has none: give the folders of all variants that it multiplies, with "
                "--seeds together where it has seeds: together"
            )
        for path in paths:
            if path in found:
                raise InputError(f"{path} is given twice; give each run once")
            found[path] = Run(path, _about(path))
    return list(found.values())


def _about(folder: Path) -> dict[str, Any]:
    about = described(folder, "run")
    if "columns" in about:
        raise InputError(
            f"{folder}: a model of metadata, which neither hears nor reads, expected one that can "
            "be given audio or words; give another variant"
        )
    run = described(folder, "encoders")["run"]
    experiment = tables.experiment_name(run["speech"], run["text"], run["mode"])
    name = f"{experiment}/{run['variant']}/fold{run['fold']}.seed{run['seed']}"
    if "/".join(folder.parts[-5:]) != f"models/{name}":
        raise InputError(
            f"{folder}: the model of {name}, expected it at {PLACE}, beside the "
            "predictions and features of its study; give it there"
        )
    return about
