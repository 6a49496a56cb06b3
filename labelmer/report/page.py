"""Result tables and figures -> one HTML page that needs nothing else, network included.

--reports is the folder that tabulate and plot filled; --splits the one with audit.tsv and
left_out.tsv; --salience, --convergence, --weights, --recognition and --cross_corpus the tables of
these names, if there are; --browser what browser.py wrote. The page is laid out in page.html and
page.css; page.js and page.browser.js are what it does. Each has parts beside it, page.PART.html and
so on.

--config holds {"figures": {name: what its file says of it in FIGURE}, "linear": the variants that
are linear models}.
"""

import base64
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from labelmer.base import json_file, tables
from labelmer.base.errors import InputError
from labelmer.base.files import write_atomically
from labelmer.base.log import log
from labelmer.base.options import OBJECT, TEXT, whole
from labelmer.base.stage import command, parse, stage_parser
from labelmer.report import brief, columns, text
from labelmer.report.columns import EXPERIMENT
from labelmer.report.packed import packed
from labelmer.report.text import percent
from labelmer.scores.metrics import METRICS

# With rationales, where something is trained, or is multiplied, where other corpora are tested on.
SOMETIMES = ("salience", "convergence", "weights", "cross_corpus")
RESULTS = tuple(name for name in columns.RESULTS if name not in SOMETIMES)
STYLE = Path(__file__).with_suffix(".css")
SCRIPTS = [Path(__file__).with_suffix(s) for s in (".js", ".utterance.js", ".browser.js")]
LINEAR = {"type": "array", "items": TEXT}
BROWSER = whole({"about": OBJECT, "salience": {"type": "array"}, "audio": {"type": "array"}})
# Where the data of a figure lie that is of no table on the page.
ELSEWHERE = {
    "histories": "Data: history.tsv of each run, in the folder models beside reports.",
    "utterances": "Data: the test utterances, below.",
}


def render(
    title: str,
    results: dict[str, pd.DataFrame],
    splits: dict[str, pd.DataFrame],
    figures: Mapping[str, Any],
    folder: Path,
    data: Mapping[str, Any],
    linear: Sequence[str] = (),
    recognition: pd.DataFrame | None = None,
) -> str:
    """The page as text.

    title: names of corpus and study; results: the tables of RESULTS by name, and those of
    SOMETIMES that there are; splits: the tables audit and left_out by name; figures: {name: its
    FIGURE as a dict}; folder: that of the SVG files; data: what the scripts read, as JSON has it;
    linear: the variants that are linear models; recognition: the table of this name, if there is
    one.
    """
    first = results["compare"].iloc[0]
    audit = splits["audit"]
    said = {
        "design": first,
        "scope": f"{text.counted(first['folds'], 'fold')}, {text.counted(first['seeds'], 'seed')}, "
        f"n = {text.counted(first['utterances'], 'test utterance')}",
        "over_seeds": ", mean over seeds" if first["seeds"] > 1 else "",
        "comparisons": len(results["pairs"]),
    }
    names = results["compare"][EXPERIMENT].drop_duplicates().itertuples(index=False)
    experiments = [
        {"id": f"e{number}", **experiment(of, results, linear)}
        for number, of in enumerate(names, start=1)
    ]
    for e in experiments:
        e["figures"] = {
            name: shown(name, figure, folder / e["folder"], {**said, "e": e})
            for name, figure in figures.items()
            if is_there(figure["reads"], e)
        }
    environment = Environment(
        autoescape=True, loader=FileSystemLoader(STYLE.parent), undefined=StrictUndefined
    )
    environment.filters |= {
        "percent": percent,
        "interval": text.percent_interval,
        "points": text.points,
        "points_interval": text.points_interval,
        "p": text.p_text,
        "ratio": text.ratio_text,
        "slice_name": text.slice_text,
        "number": "{:,.0f}".format,
        "count": text.count_text,
        "counted": text.counted,
    }
    return environment.get_template("page.html").render(
        **said,
        title=title,
        contents=[],  # filled while the chapters are written
        experiments=experiments,
        slice_comparisons=int(results["slices"]["difference"].notna().sum()),
        there=there(data),
        conditions=columns.CONDITIONS,
        metrics=METRICS,
        others=columns.OTHERS,
        audit=audit.to_dict("records"),
        audit_classes=[c.removeprefix("n_") for c in audit.columns if c.startswith("n_")],
        left_out=left_out_counts(splits["left_out"]),
        recognition=[] if recognition is None else recognition.to_dict("records"),
        style=Markup(STYLE.read_text(encoding="utf-8")),
        script=Markup("\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS)),
        data={name: in_script(content) for name, content in data.items()},
    )


def there(data: Mapping[str, Any]) -> dict[str, Any]:
    """What of utterances the page has, so that it speaks of nothing else; data: as of render().

    audio: "no", "some" or "all".
    """
    weights = [of for of in data["browser-salience"] if of]
    heard = [sound is not None for sound in data["browser-audio"]]
    return {
        "salience": bool(weights),
        **{name: any(of[name] for of in weights) for name in ("text", "classes", "turns")},
        "audio": "all" if all(heard) else "some" if any(heard) else "no",
    }


def in_script(content: Any) -> Markup:
    """JSON that no text in it can end: HTML looks for tags alone, and there are none."""
    return Markup(json.dumps(content).replace("<", "\\u003c"))


def experiment(
    names: Any, results: dict[str, pd.DataFrame], linear: Sequence[str]
) -> dict[str, Any]:
    """What the template shows of one experiment but its id and its figures.

    names: speech, text and mode; linear: variants.
    """
    of_experiment = {
        name: table[(table[EXPERIMENT] == list(names)).all(axis=1)]
        for name, table in results.items()
    }
    classes, deletion = of_experiment["classes"], of_experiment["deletion"]
    compare = of_experiment["compare"]
    variants = list(compare["variant"])
    without_features = columns.without_features(compare)
    lead = brief.leads(variants[0], of_experiment["pairs"])
    compared = deletion[(deletion["order"] == "most-salient") & (deletion["share"] > 0)]
    labels = classes.drop_duplicates("label")[["label", "support"]]
    return {
        "without_features": without_features,
        "ensembles": text.ensembles(compare),
        "first": variants[0],
        "lead": lead,
        "ahead_of": brief.ahead_of(compare.to_dict("records"), lead, linear, without_features),
        **brief.errors(classes, of_experiment["confusion"], variants[0]),
        **{name: [] for name in SOMETIMES},
        **{name: table.to_dict("records") for name, table in of_experiment.items()},
        "name": f"{names.speech} + {names.text}, {text.encoders_text(names.mode)}",
        "experiment": f"{names.speech} + {names.text}, {names.mode}",  # as browser.py has it
        "folder": tables.experiment_name(*names),
        "recognised": tables.is_recognised(names.mode),
        "variants": variants,
        "labels": list(labels.itertuples(index=False, name=None)),
        "classes": [
            (variant, classes[classes["variant"] == variant].to_dict("records"))
            for variant in variants
        ],
        "slices": list(of_experiment["slices"].itertuples()),
        "transcripts": (of_experiment["robustness"]["condition"] == "transcripts").any(),
        "deletion": compared.to_dict("records"),
        "carried": carried(of_experiment.get("cross_corpus", pd.DataFrame()), variants),
    }


def carried(table: pd.DataFrame, variants: Sequence[str]) -> list[tuple]:
    """(other, its rows, those of the own corpus) of each other corpus in a table "cross_corpus".

    Rows: in the order of variants, scored on the classes that both corpora have.
    """
    if table.empty:
        return []
    found = []
    for other, rows in table.groupby("other", sort=False):
        of_corpus = [
            rows[rows["tested_on"] == name] for name in (other, rows["trained_on"].iloc[0])
        ]
        there, own = (r.set_index("variant").loc[variants].reset_index() for r in of_corpus)
        found.append((other, there.to_dict("records"), own.to_dict("records")))
    return found


def is_there(reads: str, e: Mapping[str, Any]) -> bool:
    """Has an experiment figures that read this?

    Where no network is trained, an old figure of training may lie there. Examples show the corpus'
    own words.
    """
    if reads == "utterances" and e["recognised"]:
        return False
    return bool(e[reads if reads in columns.RESULTS else "convergence"])


def shown(
    name: str, figure: Mapping[str, Any], folder: Path, said: Mapping[str, Any]
) -> dict[str, Any]:
    """What the template shows of one figure: its words, and its images as (alt, address).

    figure: its FIGURE as a dict; folder: that of the experiment's SVG files; said: what its words
    may name.
    """
    images = [(figure["alt"], f"{name}.svg")]
    if figure["each_variant"]:
        images = [
            (f"{figure['alt']} of {variant}", f"{variant}.{name}.svg")
            for variant in said["e"]["variants"]
        ]
    return {
        "heading": filled(figure["heading"], said),
        "caption": filled(figure["caption"], said),
        "each_variant": figure["each_variant"],
        "images": [(alt, data_uri(folder / file)) for alt, file in images],
        "table": figure["reads"] if figure["reads"] in columns.RESULTS else None,
        "data": ELSEWHERE.get(figure["reads"]),
        "command": again([folder / file for _, file in images]),
    }


def again(paths: Sequence[Path]) -> str:
    """The command that draws figures anew, but for the name of the config."""
    files = " ".join(shlex.quote(str(path)) for path in paths)
    return f"snakemake --force {files} --cores 1 --configfile CONFIG.yaml"


def filled(words: str, said: Mapping[str, Any]) -> str:
    """A template of plain text, filled in; the page escapes it."""
    return Environment(undefined=StrictUndefined).from_string(words).render(said)


def left_out_counts(left_out: pd.DataFrame) -> list[tuple]:
    """(reason, folds, entries) of every reason, that of the most entries first.

    folds: how many leave something out for it, or "all"; an entry counts once, in however many.
    """

    def counts(frame: pd.DataFrame) -> tuple:
        folds = set(frame["fold"])
        entries = len(frame[["session", "id"]].drop_duplicates())
        return "all" if "all" in folds else len(folds), entries

    rows = [(reason, *counts(frame)) for reason, frame in left_out.groupby("reason")]
    return sorted(rows, key=lambda row: row[2], reverse=True)


def read_browser(path: Path) -> dict[str, Any]:
    """What browser.py wrote; InputError where it did not, or not whole."""
    return json_file.read(path, BROWSER, "write it anew (labelmer browser)")


def data_uri(path: Path) -> str:
    """An SVG file as the address of an image, so that the page holds it."""
    if not path.exists():
        raise InputError(f"{path}: there is no such figure, expected one; plot it first")
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Write the page of a study."""
    parser = stage_parser(__doc__)
    parser.add_argument("--title", required=True, help="names of corpus and study")
    parser.add_argument("--reports", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--splits", type=Path, required=True, metavar="FOLDER")
    for name in (*SOMETIMES, *columns.RECOGNITION):
        parser.add_argument(
            f"--{name}", type=Path, nargs="?", metavar="TSV", help="if there is one"
        )
    parser.add_argument("--browser", type=Path, required=True, metavar="JSON")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html")
    args = parse(parser, argv, {"figures": OBJECT, "linear": LINEAR})
    paths = {name: args.reports / f"{name}.tsv" for name in RESULTS}
    paths |= {name: path for name in SOMETIMES if (path := getattr(args, name))}
    results = {name: columns.read(path, name) for name, path in paths.items()}
    data = {f"browser-{name}": content for name, content in read_browser(args.browser).items()}
    data["tables"] = {name: packed(path.read_bytes()) for name, path in paths.items()}
    splits = {n: tables.read(args.splits / f"{n}.tsv", n) for n in ("audit", "left_out")}
    folder = args.reports / "figures"
    recognition = None
    if args.recognition:
        recognition = tables.read(args.recognition, "recognition", columns.RECOGNITION)
    figures, linear = args.config["figures"], args.config["linear"]
    page = render(args.title, results, splits, figures, folder, data, linear, recognition)
    write_atomically(args.out, page)
    log.info("wrote %s, %.1f MB", args.out, len(page) / 1e6)
