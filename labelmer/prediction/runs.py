"""The runs of a study, with what stands beside each: its encoders, its predictions, its reports.

A run is the folder results/NAME/STUDY/models/SPEECH+TEXT/MODE/VARIANT/foldF.seedS.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelmer.base.errors import InputError
from labelmer.base.ragged import Ragged
from labelmer.features import encoders
from labelmer.learning.origin import check_origin

PLACE = "results/NAME/STUDY/models/SPEECH+TEXT/MODE/VARIANT/foldF.seedS"


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
            folder = corpus.parent.parent / "resources" / "encoders" / name
        paths = sorted(features.glob("*.h5"))
        if not paths:
            raise InputError(
                f"{features}: no features, expected those on which the model in {self.folder} was "
                "trained: they say how it is to be given others; extract them again"
            )
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
                "late fusion has none: give the folders of all variants that it multiplies"
            )
        for path in paths:
            if path in found:
                raise InputError(f"{path} is given twice; give each run once")
            found[path] = Run(path, _about(path))
    return list(found.values())


def _about(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if "columns" in about:
            raise InputError(
                f"{folder}: a model of metadata, which neither hears nor reads, expected one that "
                "can be given audio or words; give another variant"
            )
        run = about["run"]
        names = [f"{run['speech']}+{run['text']}", run["mode"], run["variant"]]
        wanted = ["models", *names, f"fold{run['fold']}.seed{run['seed']}"]
        about["classes"], about["model"], about["encoders"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not the description of a model ({error!r}); train it anew"
        ) from None
    if list(folder.parts[-5:]) != wanted:
        raise InputError(
            f"{folder}: the model of {'/'.join(wanted[1:])}, expected it at {PLACE}, beside the "
            "predictions and features of its study; give it there"
        )
    return about
