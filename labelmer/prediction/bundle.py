"""Bundle trained models: one folder that suffices alone, to predict with and to pass on.

RUN is the folder of a run, results/NAME/STUDY/models/SPEECH+TEXT/MODE/VARIANT/foldF.seedS, or that
of a variant, for all its folds and seeds. Runs of several variants become their late fusion: the
weighted product of what the variants say, for each fold and seed; with --seeds together, for each
fold, of all seeds. Variants of several experiments of a study can be put together too; those of the
experiment whose table has their late fusion are to be given first.

The folder holds

    bundle.json   classes, encoders, models, and the weights that validation chose
    README.md     a model card: protocol, results, limits, licences
    models/       weights and options of each model
    encoders/     those that nobody else has: fine-tuned ones, and those of path:
    transcriber/  the speech recogniser, if it is one of path:

and beside what comes of path: its licence, if that was there.

Encoders of hub:, package: and builtin: are named by source, revision and digest, and fetched when
they are first used. So is the speech recogniser by which the corpus' words were recognised, if
some were and the models read words; of several, --transcriber names the one to take. There is
nothing else in it but safetensors and JSON, and a vocabulary.
"""

import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from labelmer import __version__
from labelmer.base import json_file, tables
from labelmer.base.digest import file_digest
from labelmer.base.errors import InputError
from labelmer.base.files import refuse_foreign, writing
from labelmer.base.lock import alone
from labelmer.base.log import log
from labelmer.base.stage import command, parse, stage_parser
from labelmer.base.tables import MODALITIES, TOGETHER
from labelmer.models import fuse
from labelmer.prediction.bundled import FORMAT, NAME, RULES
from labelmer.prediction.card import card
from labelmer.prediction.runs import Run, runs_in, transcriber_of
from labelmer.report.text import counted

HOMES = ("resources", "results")  # where snapshots stand: fetched ones, and fine-tuned ones
LICENCES = ("LICEN[CS]E*", "NOTICE*", "COPYING*")
MODEL = ("model.safetensors", "config.json")


def bundle(
    folders: Sequence[Path],
    out: Path,
    transcriber: str | None = None,
    seeds_together: bool = False,
) -> dict[str, Any]:
    """Write the bundle of some runs into a folder, whole or not at all; return its bundle.json.

    transcriber: the name of the one to take, needed where there are several; seeds_together: are
    the models of all seeds multiplied, or is each a model of its own? Replaces the bundle
    of the same variants that the folder held. InputError: runs that do not go together, or whose
    encoders, predictions or transcriber are not there; a folder that holds something else, or that
    cannot be written.
    """
    runs = runs_in(folders)
    groups = together(runs)
    if seeds_together:
        groups = of_all_seeds(groups)
    place = out.resolve()  # a link stays one, and even `.` has a name there
    part = place.with_name(place.name + ".part")
    with alone(place), writing(out):
        _tidy(place, part)  # after a kill
        refuse_foreign(out, NAME, "a bundle")
        refuse_other(out, groups[0])
        try:
            made = _write(groups, part / "new", transcriber)
            if place.exists():  # aside at first: what cannot be replaced is not lost
                place.rename(part / "old")
            (part / "new").rename(place)
        finally:
            _tidy(place, part)
    return made


def _tidy(place: Path, part: Path) -> None:
    """Remove what is unfinished; an old bundle that was put aside there goes back if need be."""
    if (part / "old").exists() and not place.exists():
        (part / "old").rename(place)
    shutil.rmtree(part, ignore_errors=True)


def identity(runs: Sequence[Run]) -> dict[str, Any]:
    """Of what a bundle is, by its bundle.json. runs: those of one product."""
    first = runs[0]
    return {
        "corpus": first.study.parent.name,
        "study": first.study.name,
        "experiment": first.experiment,
        "variants": list(dict.fromkeys(member_of(run, first) for run in runs)),
    }


def member_of(run: Run, first: Run) -> str:
    """How a run's variant is named beside others, as in `product_of`. first: of all runs."""
    elsewhere = "" if run.experiment == first.experiment else f"{run.experiment}/"
    return elsewhere + run.variant


def refuse_other(out: Path, runs: Sequence[Run]) -> None:
    """InputError if a folder holds the bundle of something else than runs, which it would replace.

    runs: as identity takes them.
    """
    path, own = out / NAME, identity(runs)
    if not path.exists():
        return
    remedy = "what would be replaced is not known; remove the folder, or give another"
    known = {name: RULES["properties"][name] for name in own}
    rules = {"type": "object", "required": list(own), "properties": known}
    about = json_file.read(path, rules, remedy)
    there = {name: about[name] for name in own}
    if there != own:
        raise InputError(
            f"{out}: the bundle of {_told(there)} stands there, expected that of {_told(own)}, or "
            "none: it would be replaced; give another folder, or remove that bundle"
        )


def _told(identity: Mapping[str, Any]) -> str:
    variants = " x ".join(identity["variants"])
    return f"{identity['corpus']}/{identity['study']}, {identity['experiment']}/{variants}"


def together(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs by fold and seed, in order: for each the run of every variant.

    InputError unless all are of one study, on the same classes, and each variant has the same folds
    and seeds and the same options throughout.
    """
    first = runs[0]
    for run in runs[1:]:
        for what, here, there in (
            ("study", run.study, first.study),
            ("classes", run.about["classes"], first.about["classes"]),
        ):
            if here != there:
                raise InputError(
                    f"{run.folder}: {what} {here}, expected {there} as of {first.folder}; bundle "
                    "the runs of one study"
                )
    variants = list(dict.fromkeys(member_of(run, first) for run in runs))
    of_variant = {
        v: {run.name: run for run in runs if member_of(run, first) == v} for v in variants
    }
    names = sorted(of_variant[variants[0]], key=_numbers)
    for variant, found in of_variant.items():
        if set(found) != set(names):
            odd = sorted(set(found) ^ set(names), key=_numbers)[0]
            raise InputError(
                f"{odd} is given of '{variant}' or of '{variants[0]}', but not of both; give "
                "the same folds and seeds of each variant, whose product is bundled"
            )
        options = {json.dumps(run.about["model"], sort_keys=True): run for run in found.values()}
        if len(options) > 1:
            one, other = list(options.values())[:2]
            raise InputError(
                f"{one.folder} and {other.folder} have different options (`model` in config.json), "
                "expected one variant to be one model; train the older one anew"
            )
    return [[of_variant[variant][name] for variant in variants] for name in names]


def of_all_seeds(groups: Sequence[Sequence[Run]]) -> list[list[Run]]:
    """Runs by fold: of every variant in turn that of each seed. groups: by fold and seed.

    InputError unless each fold has the same seeds, and several.
    """
    of_fold: dict[int, list[Sequence[Run]]] = {}
    for group in groups:
        of_fold.setdefault(_numbers(group[0].name)[0], []).append(group)
    seeds = {fold: _seeds([group[0] for group in found]) for fold, found in of_fold.items()}
    first, expected = next(iter(seeds.items()))
    for fold, found in seeds.items():
        if found != expected or len(found) < 2:
            raise InputError(
                f"--seeds together: seeds {found} of fold {fold}, expected several, and in each "
                f"fold the same ({expected} of fold {first}); give the folders of whole variants"
            )
    return [
        [run for variant in zip(*of, strict=True) for run in variant] for of in of_fold.values()
    ]


def _seeds(runs: Sequence[Run]) -> list[str]:
    """The seeds of runs, each once, in their order."""
    return list(dict.fromkeys(str(_numbers(run.name)[1]) for run in runs))


def _numbers(name: str) -> tuple[int, ...]:
    """The fold and the seed of foldF.seedS."""
    return tuple(int(part.strip("foldse")) for part in name.split("."))


def multiplied(parts: Sequence[Run]) -> tuple[pd.DataFrame, list[float]]:
    """What the models of one product say together, and the weight of each.

    The weights are those that the validation part asks for, as `labelmer fuse` has them, where
    seeds share the weight of their variant, and of one model as the calibration in the reports. The
    first: a table of predictions.
    """
    for run in parts:
        if not run.predictions.exists():
            raise InputError(
                f"{run.predictions}: there are no predictions of {run.folder}, expected those by "
                "which its weight is chosen; run the workflow to its end"
            )
    seeds = _seeds(parts)
    members = fuse.read_members([run.predictions for run in parts], seeds)
    said, weights = fuse.fuse_tables(members, {})
    return said, [weight / len(seeds) for weight in weights for _ in seeds]


def reported_as(parts: Sequence[Run], said: pd.DataFrame) -> str | None:
    """The name under which the reports have these variants' product, if it was evaluated.

    said: what they say together.
    """
    first = parts[0]
    if len(parts) == 1:
        return first.variant
    others, fold = first.predictions.parents[1], first.name.partition(".")[0]
    for path in sorted(others.glob(f"*/{fold}.seed{TOGETHER.join(_seeds(parts))}.tsv")):
        if not (first.folder.parents[1] / path.parent.name).exists():  # a late fusion, no model
            table = tables.read(path, "predictions").set_index("id").reindex(said["id"])
            p = fuse.probability_columns(said)
            if np.abs(table.reindex(columns=p).to_numpy() - said[p].to_numpy()).max() < 1e-6:
                return path.parent.name
    return None


def _write(
    groups: Sequence[Sequence[Run]], folder: Path, transcriber: str | None
) -> dict[str, Any]:
    """Fill a folder that is not there yet; return what bundle.json says."""
    from labelmer.prediction.members import member  # PyTorch takes seconds

    first = groups[0][0]
    encoders: dict[str, Any] = {}
    models = []
    for parts in groups:
        described = []
        said, weights = multiplied(parts)
        for run in [run for run, weight in zip(parts, weights, strict=True) if not weight]:
            log.warning("%s: weight 0, as it does not help on validation", run.folder)
        for run, weight in zip(parts, weights, strict=True):
            place = f"models/{member_of(run, first)}/{run.name}"
            (folder / place).mkdir(parents=True)
            member(run.folder, "cpu")  # whole, or refused
            for name in MODEL:
                shutil.copyfile(run.folder / name, folder / place / name)
            used = {}
            for m in [m for m in MODALITIES if m in run.about["encoders"]]:
                told, snapshot = run.encoder(m)
                used[m] = f"{told['name']}/{run.name}" if told["finetuned"] else told["name"]
                if used[m] not in encoders:
                    encoders[used[m]] = _taken_in(told, snapshot, folder, f"encoders/{used[m]}")
            described.append(
                {
                    "folder": place,
                    "encoders": used,
                    "weight": weight,
                    "files": {name: file_digest(folder / place / name) for name in MODEL},
                }
            )
        fold, seeds = _numbers(parts[0].name)[0], TOGETHER.join(_seeds(parts))
        models.append({"fold": fold, "seed": seeds, "parts": described})
    reads = any(encoder["modality"] == "text" for encoder in encoders.values())
    heard = transcriber_of(first.study.parent, transcriber) if reads else None
    made = {
        "format": FORMAT,
        "labelmer": __version__,
        **identity(groups[0]),
        "classes": first.about["classes"],
        "encoders": encoders,
        "models": models,
        "transcriber": _taken_in(*heard, folder, "transcriber") if heard else None,
    }
    text = json.dumps(made, indent=1, ensure_ascii=False)
    (folder / NAME).write_text(text + "\n", encoding="utf-8")
    text = card(made, first.study, first.about, reported_as(groups[-1], said))
    (folder / "README.md").write_text(text, encoding="utf-8")
    return made


def _taken_in(told: dict[str, Any], snapshot: Path, folder: Path, place: str) -> dict[str, Any]:
    """What bundle.json says of an encoder or transcriber.

    Its files are copied to a place in the bundle's folder where they cannot be fetched.
    """
    kind = told["source"].partition(":")[0]
    if kind == "files":
        raise InputError(
            f"encoder {told['name']}: its features were made elsewhere ({told['source']}), and "
            "labelmer cannot make those of new recordings; bundle a variant without it"
        )
    if not told.get("finetuned") and kind != "path":
        return {**told, "folder": None}
    (folder / place).mkdir(parents=True)
    for path in snapshot.iterdir():
        if path.is_file() and not path.name.startswith("."):  # Snakemake's time stamp
            shutil.copyfile(path, folder / place / path.name)
    for path in licences_of(told["source"], snapshot):  # beside it: what is in it has a digest
        name = f"{Path(place).name}.{path.name}"
        shutil.copyfile(path, (folder / place).with_name(name))
    return {**told, "folder": place}


def licences_of(source: str, snapshot: Path) -> list[Path]:
    """The files of a licence in the folder of a source path:, where it is still there.

    snapshot: TOP/resources/encoders/NAME, or as deep, of a workflow that runs in TOP; there the
    source counts from.
    """
    kind, _, place = source.partition(":")
    homes = [above.parent for above in snapshot.absolute().parents if above.name in HOMES]
    if kind != "path" or not homes:
        return []
    found = (path for way in LICENCES for path in (homes[0] / place).glob(way))
    return sorted(path for path in found if path.is_file())


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of `labelmer bundle`."""
    parser = stage_parser(__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="see above")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="MODEL", help="to write")
    parser.add_argument("--transcriber", metavar="NAME", help="see above")
    parser.add_argument("--seeds", choices=["together"], help="see above")
    args = parse(parser, argv)
    made = bundle(args.runs, args.out, args.transcriber, args.seeds == "together")
    models = counted(len(made["models"]), "model")
    log.info("%s of %s in %s", models, made["experiment"], args.out)
    print(f"{args.out}: {models}; labelmer predict {shlex.quote(str(args.out))} AUDIO ...")
