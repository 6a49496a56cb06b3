"""The page of a study of IEMOCAP's size: how large it is, how soon it opens and filters.

5,531 made-up utterances in 5 folds, 11 variants: seven networks, four of them with labels, one that
looks at the turns around, and four that have no salience. What weighs what moves smoothly at
random. The page has its tables and no figures. In Debian's Chromium, without a window.

    size        of index.html, MB, without audio
    opens       from the start until the first utterances can be read, seconds, median of 5
    filters     until the list is laid out, milliseconds, median of 5: the slowest filter or order

    python bench/page.py [--tiny] [--out FOLDER]
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from labelmer.base import tables
from labelmer.base.ragged_writer import Writer
from labelmer.report import browser, page, tabulate

CLASSES = ["angry", "happy", "neutral", "sad"]
RUN = {"speech": "wav2vec2-base", "text": "bert-base-uncased", "mode": "frozen", "seed": 1}
SPEECH, TEXT, LABELS, CONTEXT = "speech", "text", "labels", "context"
VARIANTS = {  # what each has
    "full": {SPEECH, TEXT, LABELS},
    "no-label-guidance": {SPEECH, TEXT, LABELS},
    "leam": {SPEECH, TEXT, LABELS},
    "context": {SPEECH, TEXT, LABELS, CONTEXT},
    "additive": {SPEECH, TEXT},
    "speech-only": {SPEECH},
    "text-only": {TEXT},
    "late-fusion": set(),
    "linear": set(),
    "linear-speech": set(),
    "linear-text": set(),
}
TURNS = 8
SECONDS = 4.5  # of an utterance, in the mean
# A tenth of the samples, and so of the time: without audio the page has their outline alone.
RATE, FRAMES_S = 1_600, 12.5
WORDS = "i you we never always said went home told about it what because mother money leave love"
# As good as a text gets for testing that it stays one.
ODD = "</script><script>document.title = 'run'</script> <b>bold</b> & \"quoted\" 😀"


def utterances_of(count, folds, draw):
    """The table of all utterances, five to a dialogue, two speakers to a fold."""
    number = np.arange(count)
    fold = 1 + number * folds // count
    rows = {
        "id": [f"Ses{f:02d}_{n // 5:05d}_{n % 5}" for f, n in zip(fold, number, strict=True)],
        "session": [f"Session{f}" for f in fold],
        "dialogue": [f"d{n // 5:05d}.{f}" for f, n in zip(fold, number, strict=True)],
        "speaker": [f"s{f}{'FM'[n % 2]}" for f, n in zip(fold, number, strict=True)],
        "start_s": 9.0 * (number % 5),
        "end_s": 9.0 * (number % 5) + 8,
    }
    words = np.array(WORDS.split())
    texts = [" ".join(draw.choice(words, draw.integers(3, 22))) + "." for _ in number]
    return pd.DataFrame(rows).assign(text=[ODD, *texts[1:]], fold=fold)


def smooth(draw, rows, columns):
    """Columns that wander about zero, four rows much alike: (rows, columns)."""
    noise = draw.normal(size=(rows + 3, columns))
    return 0.6 * sum(noise[shift : shift + rows] for shift in range(4))


def write_segments(folder, table, draw, rate):
    """A session's audio and its table; returns {id: seconds}."""
    seconds = np.clip(draw.gamma(2.5, SECONDS / 2.5, len(table)), 0.6, 30)
    lengths = (seconds * rate).astype(int)
    name, attrs = table["session"].iloc[0], {"kind": "segments", "unit": "samples"}
    with Writer(folder / f"{name}.h5", table["id"], lengths, (), "int16", attrs) as writer:
        for place, length in enumerate(lengths):
            loud = 2000 * np.exp(smooth(draw, length // 100 + 1, 1)[:, 0] / 2)
            samples = draw.normal(size=length) * np.repeat(loud, 100)[:length]
            writer.write(place, np.clip(samples, -32_000, 32_000), bytes(31) + b"1")
    rows = pd.DataFrame(
        {"id": table["id"], "seconds": seconds, "source": "a.wav", "problem": "", "audio": ""}
    )
    tables.write(folder / f"{name}.tsv", rows, "segments")
    return dict(zip(table["id"], lengths / rate, strict=True))


def write_salience(folder, table, has, run, seconds, draw, rate):
    """The files of salience of a run: {modality: rows of each utterance} as long as they are."""
    texts = table["text"].tolist()
    marks = [["[CLS]", *text.split(), "[SEP]"] for text in texts]
    spans = [spans_of(text) for text in texts]
    frames = [max(1, round(seconds[name] * FRAMES_S)) for name in table["id"]]
    lengths = {SPEECH: frames, TEXT: [len(of) for of in marks]}
    before = [table["id"].iloc[n - n % 5 : n].tolist()[::-1] for n in range(len(table))]
    before = [names[:TURNS] for names in before]
    columns = ["salience", *(f"says_{name}" for name in CLASSES if LABELS in has)]
    for modality in sorted(has & {SPEECH, TEXT}):
        attrs = {"kind": "salience", "modality": modality, "columns": json.dumps(columns), **run}
        attrs |= {"rate_hz": FRAMES_S * 16_000 / rate} if modality == SPEECH else {}
        told = (marks, spans) if modality == TEXT else ()
        where = folder / f"{modality}.h5", table["id"], lengths[modality], (len(columns),)
        with Writer(*where, "float32", attrs, *told) as writer:
            values = smooth(draw, sum(lengths[modality]), 1 + len(CLASSES))
            parts = np.split(np.exp(values), np.cumsum(lengths[modality])[:-1])
            for place, part in enumerate(parts):
                part[:, 0] /= part[:, 0].sum()
                part[:, 1:] /= part[:, 1:].sum(axis=1, keepdims=True)
                writer.write(place, part[:, : len(columns)], bytes(31) + b"1")
    if CONTEXT in has:
        attrs = {"kind": "salience", "modality": CONTEXT, "columns": '["salience"]', **run}
        some = [n for n, names in enumerate(before) if names]
        named, turns = [table["id"].iloc[n] for n in some], [before[n] for n in some]
        where = folder / "context.h5", named, [len(of) for of in turns], (1,)
        with Writer(*where, "float32", attrs, turns) as writer:
            for place, of in enumerate(turns):
                writer.write(place, draw.dirichlet(np.ones(len(of)))[:, None], bytes(31) + b"1")


def spans_of(text):
    """Where the words of a text stand, with a token before and behind that stands for none."""
    ends = np.cumsum([len(word) + 1 for word in text.split()]) - 1
    starts = ends - [len(word) for word in text.split()]
    return np.array([(0, 0), *zip(starts, ends, strict=True), (0, 0)])


def write_study(folder, count, folds=5, variants=VARIANTS, rate=RATE):
    """All that browser, tabulate and page read of a study of `count` utterances."""
    draw = np.random.default_rng(1)
    table, seconds = utterances_of(count, folds, draw), {}
    named = {"scenario": "", "passage": "", "role": "", "part": ""}
    tables.write(
        folder / "utterances.tsv", table.drop(columns="fold").assign(**named), "utterances"
    )
    for _, of_fold in table.groupby("fold"):
        seconds |= write_segments(folder / "segments", of_fold, draw, rate)
    table = table.assign(true=draw.choice(CLASSES, count), part="test")
    overlaps = [c for c in tables.TABLES["audit"] if "_in_" in c]
    counts = {"utterances": count // folds, "speakers": 2, "dialogues": 3, "scenarios": 0}
    counts |= dict.fromkeys([*overlaps, "known_scenario"], 0) | {"n_angry": 1}
    rows = [
        {"fold": fold, "held_out": f"Session{fold}", "part": part, **counts}
        for fold in range(1, folds + 1)
        for part in tables.PARTS
    ]
    tables.write(folder / "splits/audit.tsv", pd.DataFrame(rows), "audit")
    nothing = pd.DataFrame(columns=list(tables.TABLES["left_out"]))
    tables.write(folder / "splits/left_out.tsv", nothing, "left_out")
    for variant, has in variants.items():
        for fold, of_fold in table.groupby("fold"):
            run = {**RUN, "variant": variant, "fold": fold}
            place = f"{variant}/fold{fold}.seed1"
            next_fold = table[table["fold"] == fold % folds + 1].assign(part="validation")
            heard = pd.concat([of_fold, next_fold])
            p = draw.dirichlet(np.full(len(CLASSES), 0.4), len(heard))
            p[np.arange(len(p)), heard["true"].map(CLASSES.index)] += 0.5
            p = pd.DataFrame(p / p.sum(axis=1, keepdims=True), columns=CLASSES, index=heard.index)
            said = heard.assign(predicted=p.idxmax(axis=1), **p.add_prefix("p_")).assign(**run)
            own = [c for c in said if c in tables.TABLES["predictions"] or c.startswith("p_")]
            tables.write(folder / f"predictions/{place}.tsv", said[own], "predictions")
            keys = [c for c in own if c not in ("session", "dialogue", "speaker", "part")]
            mute = said.loc[of_fold.index, keys].assign(
                change="missing", modality=SPEECH, share=1.0
            )
            tables.write(folder / f"perturbed/{place}.tsv", mute, "perturbed")
            if has:
                words = {name: str(value) for name, value in run.items()}
                write_salience(
                    folder / "salience" / place, of_fold, has, words, seconds, draw, rate
                )


def write_page(folder, audio=False):
    """The page of such a study, and what comes before it; returns its path."""
    reports = folder / "reports"
    stated = {"protocol": "made up", "selection": "nothing chosen", "classes": CLASSES}
    stated["inputs"] = {path.name: [SPEECH] for path in (folder / "predictions").iterdir()}
    paths = {
        name: sorted(map(str, folder.glob(pattern)))
        for name, pattern in (
            ("predictions", "predictions/*/*.tsv"),
            ("perturbed", "perturbed/*/*.tsv"),
            ("tables", "segments/*.tsv"),
            ("segments", "segments/*.h5"),
            ("salience", "salience/*/*"),
        )
    }
    predicted = ["--predictions", *paths["predictions"]]
    given = [*predicted, "--perturbed", *paths["perturbed"], "--segments", *paths["tables"]]
    given += ["--audit", str(folder / "splits/audit.tsv"), "--out", str(reports)]
    tabulate.main([*given, "--config", json.dumps(stated)])
    given = [*predicted, "--salience", *paths["salience"], "--segments", *paths["segments"]]
    given += ["--utterances", str(folder / "utterances.tsv")]
    given += ["--out", str(reports / "browser.json")]
    browser.main([*given, "--config", json.dumps({"classes": CLASSES, "audio": audio})])
    given = ["--title", "made up", "--reports", str(reports), "--splits", str(folder / "splits")]
    given += ["--browser", str(reports / "browser.json"), "--out", str(reports / "index.html")]
    page.main([*given, "--config", json.dumps({"figures": {}, "linear": ["linear"]})])
    return reports / "index.html"


def chromium(*arguments):
    """Debian's Chromium without a window and without a network, driven by selenium."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    alone = "--host-resolver-rules=MAP * ~NOTFOUND"
    for argument in ("--headless=new", "--no-sandbox", alone, *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))


FILTER = """
const field = document.getElementById("filters").elements[arguments[0]];
const start = performance.now();
field.value = arguments[1];
const kind = field.matches("select") ? "change" : "input";
field.dispatchEvent(new Event(kind, {bubbles: true}));
document.body.offsetHeight;
return performance.now() - start;
"""
CHANGES = [("label", 0), ("predicted", 1), ("outcome", "wrong"), ("fold", 2), ("least", 80)]
CHANGES += [("predicted", ""), ("label", ""), ("outcome", ""), ("fold", ""), ("least", 0)]
CHANGES += [("words", "mother"), ("words", "")]
ORDERS = ("surest", "unsurest", "furthest", "hardest", "longest", "shortest", "corpus")
CHANGES += [("order", name) for name in ORDERS]


def measured(path, runs, changes=CHANGES):
    """Seconds until it can be read, and {field: milliseconds} of the slowest change of each."""
    opened, taken = [], {change: [] for change in changes}
    for _ in range(runs):
        driver = chromium()
        try:
            driver.get(path.as_uri())
            ready = "return performance.getEntriesByName('browser')[0]?.startTime"
            while not (time := driver.execute_script(ready)):
                pass
            opened.append(time / 1000)
            for change, times in taken.items():
                times.append(driver.execute_script(FILTER, *change))
        finally:
            driver.quit()
    slowest = {}
    for (field, _), times in taken.items():
        slowest[field] = max(slowest.get(field, 0), statistics.median(times))
    return statistics.median(opened), slowest


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tiny", action="store_true", help="a size that shows that it runs, and no more"
    )
    parser.add_argument("--out", type=Path, help="a folder to keep the study and its page in")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = args.out or Path(place)
        write_study(folder, 60 if args.tiny else 5531)
        path = write_page(folder)
        seconds, slowest = measured(path, 1 if args.tiny else 5)
        size = path.stat().st_size / 1e6
    print(f"size {size:.2f} MB, opens in {seconds:.2f} s")
    print("slowest, ms: " + ", ".join(f"{name} {taken:.0f}" for name, taken in slowest.items()))
    result = {"page_mb": round(size, 2), "page_opens_s": round(seconds, 2)}
    print(json.dumps({**result, "page_filters_ms": round(max(slowest.values()))}))


if __name__ == "__main__":
    main()
