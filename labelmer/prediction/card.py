"""The model card of a bundle, README.md, in the form that Hugging Face shows.

What it says of results it takes from the reports of the study: they are those of each model on the
test part of its fold. YAML front matter as https://huggingface.co/docs/hub/model-cards has it.
"""

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from labelmer.base import tables
from labelmer.base.log import log
from labelmer.base.tables import MODALITIES, TOGETHER
from labelmer.report import columns
from labelmer.report.columns import CONDITIONS
from labelmer.report.text import counted, percent, percent_interval
from labelmer.scores.metrics import METRICS

TABLES = ("compare", "summary", "classes", "confusion", "robustness")
OTHERS = "cross_corpus"  # of a study that tests on other corpora


def card(
    made: Mapping[str, Any], study: Path, about: Mapping[str, Any], variant: str | None
) -> str:
    """The text of README.md.

    made: the bundle's bundle.json; study: results/NAME/STUDY; about: config.json of one of its
    models; variant: under which name the study's reports have it, if they have it.
    """
    found = results_of(study, made["experiment"], variant)
    if not found:
        log.warning("%s: no results of these runs, so the card has none", study / "reports")
    sees = modalities(made)
    title = f"{made['corpus']}, {made['study']}: {variant or ' x '.join(made['variants'])}"
    parts = [
        f"# {title}",
        f"Recognises {', '.join(made['classes'])} from {' and '.join(sees)}, by "
        f"{counted(len(made['models']), 'model')} whose calibrated probabilities are "
        f"{'averaged' if len(made['models']) > 1 else 'taken'}. Made with labelmer "
        f"{made['labelmer']}.",
        "\n".join(_use(made, sees)),
        "\n".join(_training(made, about)),
        *_results(made, found),
        "\n".join(_limits(made, found)),
        "\n".join(_licences(made)),
    ]
    return f"---\n{front_matter(made, found, title)}---\n\n" + "\n\n".join(parts) + "\n"


def modalities(made: Mapping[str, Any]) -> list[str]:
    """The modalities that a bundle's models see."""
    seen = {encoder["modality"] for encoder in made["encoders"].values()}
    return [m for m in MODALITIES if m in seen]


def results_of(study: Path, experiment: str, variant: str | None) -> dict[str, pd.DataFrame]:
    """The rows of a variant in the result tables of a study, by table; {} where there are none.

    That of other corpora is not in it where the study was tested on none.
    """
    found = {}
    for name in (*TABLES, OTHERS):
        path = study / "reports" / f"{name}.tsv"
        if not path.exists():
            if name == OTHERS:
                break
            return {}
        table = columns.read(path, name)
        named = table["speech"] + "+" + table["text"] + "/" + table["mode"]
        found[name] = table[(named == experiment) & (table["variant"] == variant)]
    return found if len(found["compare"]) else {}


def front_matter(made: Mapping[str, Any], found: Mapping[str, pd.DataFrame], title: str) -> str:
    """The card's front matter, YAML."""
    from huggingface_hub import EvalResult, ModelCardData

    hub = [e["source"] for e in made["encoders"].values() if e["source"].startswith("hub:")]
    results = [
        EvalResult(
            task_type="audio-classification",
            task_name="Emotion recognition",
            dataset_type=made["corpus"],
            dataset_name=f"{made['corpus']}, {row['protocol']}",
            metric_type={"wa": "accuracy", "ua": "recall"}.get(row["metric"], "f1"),
            metric_name=METRICS[row["metric"]].words,
            metric_value=round(100 * float(row["pooled"]), 2),
        )
        for row in (found["summary"].to_dict("records") if found else ())
    ]
    data = ModelCardData(
        library_name="labelmer",
        pipeline_tag=f"{'audio' if 'speech' in modalities(made) else 'text'}-classification",
        license="other",
        license_name="as-of-corpus-and-encoders",
        tags=["emotion-recognition", *modalities(made), "safetensors"],
        base_model=sorted({source[4:].partition("@")[0] for source in hub}) or None,
        model_name=title if results else None,
        eval_results=results or None,
    )
    return data.to_yaml() + "\n"


def _use(made: Mapping[str, Any], sees: Sequence[str]) -> Iterator[str]:
    given = {("speech", "text"): '"hello.wav", "What a day."', ("speech",): '"hello.wav"'}
    yield "## Use"
    yield ""
    yield "```python"
    yield "import labelmer"
    yield ""
    words = given.get(tuple(sees), 'text="What a day."')
    yield f'prediction = labelmer.load("this/folder")({words})'
    yield "print(prediction.label, prediction.confidence, prediction.probabilities)"
    yield "```"
    if made["transcriber"]:
        yield ""
        yield (
            f"`transcribe=True` in place of the words has {made['transcriber']['name']} recognise "
            "them."
        )


def _training(made: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[str]:
    # Of a member's models, which share its weight, each has its part in bundle.json.
    weights = [
        part["weight"] * len(model["seed"].split(TOGETHER))
        for model in made["models"]
        for part in model["parts"]
    ]
    folds = sorted({model["fold"] for model in made["models"]})
    seeds = list(dict.fromkeys(model["seed"] for model in made["models"]))
    architecture = ", ".join(
        f"{name} {value}"
        for name, value in about["model"].items()
        if name in ("architecture", "width", "frame_stride", "context_turns")
    )
    rows = {
        "corpus, study": f"{made['corpus']}, {made['study']}",
        "variants": " x ".join(made["variants"]),
        "model": architecture,
        "folds; seeds": f"{', '.join(map(str, folds))}; {', '.join(map(str, seeds))}",
        "weights, chosen on validation": f"{min(weights):.2f} to {max(weights):.2f}",
    }
    if "text" in modalities(made):
        rows["words"] = _words(made)
    yield "## Training"
    yield ""
    yield from _table(["", ""], rows.items())


def _words(made: Mapping[str, Any]) -> str:
    """Which words the models that read were trained on: each in its own experiment."""
    parts = [part for model in made["models"] for part in model["parts"]]
    read = [part["folder"].split("/") for part in parts if "text" in part["encoders"]]
    # models/SPEECH+TEXT/MODE/VARIANT/foldF.seedS, or models/VARIANT/foldF.seedS of the first.
    homes = {"/".join(folder[1:-2]) or made["experiment"] for folder in read}
    told = {True: "recognised ones", False: "the corpus' own"}
    found = {tables.is_recognised(home) for home in homes}
    return " and ".join(words for recognised, words in told.items() if recognised in found)


CARRIED = ["corpus", "classes", "n", "UA [95%]", "UA on its own corpus", "chance"]


def _results(made: Mapping[str, Any], found: Mapping[str, pd.DataFrame]) -> list[str]:
    """The sections of results; one that says that there are none, where there are none."""
    if not found:
        return ["## Results\n\nThese models are in no report of their study."]
    compared, summary = found["compare"].iloc[0], found["summary"]
    scope = (
        f"Percent, of the study's models, each on the test part of its fold, which it has not "
        f"seen: {compared['folds']} folds, {compared['seeds']} seeds, {compared['utterances']} "
        f"utterances of {compared['speakers']} speakers. Protocol: {compared['protocol']}. "
        f"Selection: {compared['selection']}."
    )
    if len({model["fold"] for model in made["models"]}) > 1:
        scope += (
            "\n\nThe average that this bundle makes was not tested: what one of its models has not "
            "seen, others were trained on, so nothing in the corpus can test them together."
        )
    metrics = [
        (
            METRICS[row.metric].words,
            percent(row.mean, row.sd),
            f"{percent(row.pooled)} {percent_interval(row.speaker_low, row.speaker_high)}",
        )
        for row in summary.itertuples()
    ]
    classes = [
        (row.label, percent(row.precision), percent(row.recall), percent(row.f1), row.support)
        for row in found["classes"].itertuples()
    ]
    shares = found["confusion"].pivot(index="true", columns="predicted", values="share")
    labels = list(found["classes"]["label"])
    confusion = [(true, *(percent(shares.loc[true, label]) for label in labels)) for true in labels]
    conditions = [
        (
            CONDITIONS[row.condition],
            f"{percent(row.ua)} {percent_interval(row.ua_low, row.ua_high)}",
        )
        for row in found["robustness"].itertuples()
    ]

    others = _others(found)
    carried = (
        "Unweighted accuracy of each model on every utterance there, of the classes that both "
        "corpora have, mean over models; beside it that on the own test parts, of the same classes."
    )

    def section(heading: str, words: str, head: Sequence[str], rows: Sequence) -> str:
        return "\n".join(
            [f"## {heading}", "", *([words, ""] if words else []), *_table(head, rows)]
        )

    calibrated = (
        f"Expected calibration error (15 bins): {percent(compared['ece'])} as predicted, "
        f"{percent(compared['ece_scaled'])} with the temperatures that validation asks for."
    )
    return [
        section("Results", scope, ["", "mean ± sd over folds", "pooled [95%]"], metrics),
        section("Classes", "", ["", "precision", "recall", "F1", "n"], classes),
        section("Confusion", "Rows: true; columns: predicted; percent.", ["", *labels], confusion),
        section(
            "With less to go by", "Unweighted accuracy, pooled.", ["given", "UA [95%]"], conditions
        ),
        f"## Calibration\n\n{calibrated}",
        *([section("On other corpora", carried, CARRIED, others)] if others else []),
    ]


def _others(found: Mapping[str, pd.DataFrame]) -> list[tuple]:
    """The rows of the card's table of other corpora; none where the study was tested on none."""
    if OTHERS not in found:
        return []
    table = found[OTHERS]
    foreign = table["tested_on"] == table["other"]
    own = table[~foreign].set_index("other")["ua"]
    return [
        (
            row.other,
            row.classes,
            row.utterances,
            f"{percent(row.ua)} {percent_interval(row.ua_low, row.ua_high)}",
            percent(own[row.other]),
            percent(row.chance),
        )
        for row in table[foreign].itertuples()
    ]


def _limits(made: Mapping[str, Any], found: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    yield "## What it is not for"
    yield ""
    yield (
        f"- It names what raters of {made['corpus']} would call an utterance, one of "
        f"{len(made['classes'])} classes, whether or not any of them fits. It does not know what "
        "somebody feels."
    )
    yield (
        "- Not for decisions about people (hiring, policing, health, schooling, work), and not for "
        "watching people who have not agreed. The EU's AI Act forbids recognising emotions at work "
        "and in schools, but for medical and safety reasons."
    )
    but = ", but for the corpora above" if len(found.get(OTHERS, ())) else ""
    yield (
        "- Other languages, ages, microphones, rooms and ways of speaking than the corpus has are "
        f"untested{but}. Acted emotions are not lived ones."
    )


def _licences(made: Mapping[str, Any]) -> Iterator[str]:
    yield "## Encoders and licences"
    yield ""
    yield (
        f"labelmer is under Apache-2.0. The weights were trained on {made['corpus']}; its licence "
        "may limit their use and their passing on. Each encoder has a licence of its own"
        f"{', and so has the speech recogniser' if made['transcriber'] else ''}:"
    )
    yield ""
    heard = made["transcriber"]
    brought = {**made["encoders"], **({f"{heard['name']} (words)": heard} if heard else {})}
    yield from _table(
        ["encoder", "source", "revision", "in this folder", "licence"],
        [
            (name, e["source"], e["revision"], e["folder"] or "no: fetched", _licence(e["source"]))
            for name, e in brought.items()
        ],
    )


def _licence(source: str) -> str:
    """What is known of an encoder's licence, by its source."""
    kind, _, place = source.partition(":")
    if kind == "hub":
        return f"see huggingface.co/{place.partition('@')[0]}"
    if kind == "package":
        module = place.partition("/")[0]
        names = importlib.metadata.packages_distributions().get(module, [module])
        about: Any = importlib.metadata.metadata(names[0])
        return about.get("License-Expression") or about.get("License") or f"see {names[0]} on PyPI"
    if source == "builtin:egemaps":
        return "openSMILE's: non-commercial use"
    return "no weights" if kind == "builtin" else "its authors'"


def _table(head: Sequence[str], rows: Any) -> Iterator[str]:
    """A table in Markdown."""
    for cells in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"
