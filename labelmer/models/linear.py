"""The baseline "linear": logistic regression on the means of an utterance's features over time.

No network, no torch, no chance: what a deep model must beat. The frames or tokens of each modality
that it sees become their mean over time (of several layers, the mean of these), standardised by
the training part. C, the inverse strength of the L2 penalty, is the one of GRID with the best mean
of WA and UA on the validation part; of equals, the smallest. Classes weigh alike. With `refit`,
training and validation part are then fitted together with that C, and this fit predicts the test
part; the validation part is predicted by the fit on the training part, which has not seen it.

A missing modality is at its mean: it adds nothing. The test part chooses nothing.

--config holds {"classes": [names in order], "model": options, "refit": true or false}.
"""

import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import save as to_bytes
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from labelmer.base import tables
from labelmer.base.description import FORMAT
from labelmer.base.errors import InputError
from labelmer.base.files import write_atomically
from labelmer.base.log import log
from labelmer.base.options import NAMES, OBJECT
from labelmer.base.ragged import located
from labelmer.base.stage import RUN, command, parse, run_parser
from labelmer.learning.origin import check_origin, opened, origin
from labelmer.learning.predictions import (
    check_classes,
    check_recognised,
    perturbed_table,
    predictions_table,
)
from labelmer.models import architectures
from labelmer.models.deletions import SHARES, deletable, left_at_random
from labelmer.scores.accuracy import accuracies

GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of C, weakest penalty last
ITERATIONS = 5000


class Means:
    """One modality's means over time, of utterances whose features lie in ragged files.

    paths   the files, by one encoder; together they hold every id that is asked for
    stride  rows that are deleted together, as a model sees them as one
    """

    def __init__(self, modality: str, paths: Iterable[Path | str], stride: int) -> None:
        self.modality, self.stride = modality, stride
        self.files = opened(paths)
        self.encoder = origin(self.files[0])

    def of(self, ids: Sequence[str]) -> np.ndarray:
        """Means of utterances: (N, width)."""
        return self._means(ids, lambda name, rows: np.ones((1, rows)))[0]

    def left_at_random(self, ids: Sequence[str]) -> np.ndarray:
        """Means of what is left when each of SHARES is deleted at random: (shares, N, width)."""
        return self._means(ids, self._left)

    def _left(self, name: str, rows: int) -> np.ndarray:
        left = left_at_random(name, self.modality, -(-rows // self.stride))
        return left.repeat(self.stride, axis=1)[:, :rows]

    def _means(self, ids: Sequence[str], kept: Callable[[str, int], np.ndarray]) -> np.ndarray:
        """Means (K, N, width) over the rows that kept(id, rows) says, (K, rows)."""
        found = []
        for name, (file, index) in zip(ids, located(self.files, ids), strict=True):
            rows = file[index].astype(np.float32)
            rows = rows.mean(axis=tuple(range(1, rows.ndim - 1)))  # over layers, if there are some
            weights = np.asarray(kept(name, len(rows)), np.float32)
            with np.errstate(invalid="ignore"):
                found.append(weights @ rows / weights.sum(axis=1, keepdims=True))
            file.release()
            if not np.isfinite(found[-1]).all():
                raise InputError(
                    f"{file.path}: id '{name}': {len(rows)} rows without a finite mean, expected "
                    "numbers; take the utterance out, or another encoder or layer"
                )
        return np.stack(found, axis=1).astype(np.float64)


@dataclass(frozen=True)
class Linear:
    """A fitted logistic regression; logits are the intercept and a sum over modalities."""

    mean: dict[str, np.ndarray]  # {modality: (width,)}
    sd: dict[str, np.ndarray]  # {modality: (width,)}
    weights: dict[str, np.ndarray]  # {modality: (C, width)}
    intercept: np.ndarray  # (C,)

    def probabilities(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        """Probabilities (N, C) of {modality: (N, width)}; one that is missing adds nothing."""
        terms = [((x - self.mean[m]) / self.sd[m]) @ self.weights[m].T for m, x in means.items()]
        return softmax(self.intercept + sum(terms), axis=1)

    def tensors(self) -> dict[str, np.ndarray]:
        """All of it by name, as it is saved."""
        of_modality = {"mean": self.mean, "sd": self.sd, "weights": self.weights}
        tensors = {f"{m}.{k}": x[m] for k, x in of_modality.items() for m in x}
        return {**tensors, "intercept": self.intercept}


def fit(
    means: Mapping[str, np.ndarray], labels: np.ndarray, classes: Sequence[str], c: float
) -> Linear:
    """Fit a Linear to the means {modality: (N, width)} of utterances with labels (N,).

    A dimension that never changes has sd 1. Each class counts alike, whatever its number.
    """
    mean = {m: x.mean(axis=0) for m, x in means.items()}
    sd = {m: np.where(x.std(axis=0) > 1e-5, x.std(axis=0), 1.0) for m, x in means.items()}
    inputs = np.concatenate([(x - mean[m]) / sd[m] for m, x in means.items()], axis=1)
    regression = LogisticRegression(C=c, class_weight="balanced", max_iter=ITERATIONS)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        regression.fit(inputs, labels)
    if regression.n_iter_[0] >= ITERATIONS:
        log.warning("linear: C = %g: not converged after %d iterations", c, ITERATIONS)
    order = [regression.classes_.tolist().index(name) for name in classes]
    weights, intercept = regression.coef_, regression.intercept_
    if len(weights) == 1:  # of two classes scikit-learn has the difference alone
        weights, intercept = (np.stack([-x[0] / 2, x[0] / 2]) for x in (weights, intercept))
    ends = np.cumsum([x.shape[1] for x in means.values()])[:-1]
    weights = dict(zip(means, np.split(weights[order], ends, axis=1), strict=True))
    return Linear(mean, sd, weights, intercept[order])


def chosen(
    train: tuple[Mapping[str, np.ndarray], np.ndarray],
    validation: tuple[Mapping[str, np.ndarray], np.ndarray],
    classes: Sequence[str],
) -> tuple[Linear, float, dict[float, float]]:
    """The fit on the training part that is best on validation, its C, and {C: score}.

    train, validation: means {modality: (N, width)} and labels (N,).
    """
    means, labels = validation
    fits, scores = {c: fit(*train, classes, c) for c in GRID}, {}
    for c, model in fits.items():
        best = model.probabilities(means).argmax(axis=1)
        found = accuracies(labels, np.array(classes)[best])
        scores[c] = (found["wa"] + found["ua"]) / 2
    c = max(GRID, key=scores.__getitem__)
    return fits[c], c, scores


def fitted(
    means: Mapping[str, np.ndarray],
    table: pd.DataFrame,
    classes: Sequence[str],
    refit: bool,
    threads: int,
) -> tuple[Linear, list[tuple[pd.DataFrame, np.ndarray]], dict[str, Any]]:
    """Fit one fold: the Linear that predicts its test part, what is said, how it was chosen.

    means: {modality: (N, width)} of the rows of a fold table. What is said: the rows and the
    probabilities (N, C) of the validation part, by the fit on the training part alone, and of the
    test part. How: {"c", "scores", "refit"}.
    """

    def of(*parts: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
        mask = table["part"].isin(parts).to_numpy()
        return {m: x[mask] for m, x in means.items()}, table["label"].to_numpy()[mask]

    teaching = ("train", "validation") if refit else ("train",)
    with threadpool_limits(threads):
        first, c, scores = chosen(of("train"), of("validation"), classes)
        model = fit(*of(*teaching), classes, c) if refit else first
    said = [
        (table[table["part"] == part], which.probabilities(of(part)[0]))
        for part, which in (("validation", first), ("test", model))
    ]
    how = {"c": c, "scores": {f"{c:g}": s for c, s in scores.items()}, "refit": refit}
    log.info(
        "C = %g, chosen on %d validation utterances among %s; the test part is predicted by a fit "
        "on %d utterances",
        *(c, len(said[0][0]), how["scores"], table["part"].isin(teaching).sum()),
    )
    return model, said, how


def disturbed(
    model: Linear, means: Mapping[str, Means], of_test: Mapping[str, np.ndarray], ids: Sequence[str]
) -> dict[tuple[str, str, float], np.ndarray]:
    """What a model says of the test part under each change: {(change, modality, share): p}.

    means: {modality: Means}; of_test: {modality: (N, width)} of the utterances ids.
    """
    changed = {}
    for m in of_test:
        if len(of_test) > 1:
            others = {other: x for other, x in of_test.items() if other != m}
            changed["missing", m, 1.0] = model.probabilities(others)
        if deletable(m, means[m].files[0]):
            for share, left in zip(SHARES, means[m].left_at_random(ids), strict=True):
                changed["random", m, share] = model.probabilities({**of_test, m: left})
    return changed


def save(folder: Path, model: Linear, about: Mapping[str, Any]) -> None:
    """Write model.safetensors and config.json, as training does."""
    tensors = {name: np.ascontiguousarray(x) for name, x in model.tensors().items()}
    write_atomically(folder / "model.safetensors", to_bytes(tensors))
    text = json.dumps({"format": FORMAT, **about}, indent=2, sort_keys=True, ensure_ascii=False)
    write_atomically(folder / "config.json", text + "\n")


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule linear."""
    parser = run_parser(__doc__)
    parser.add_argument("out", type=Path, help="table of predictions to write")
    parser.add_argument("--perturbed", type=Path, required=True, metavar="TSV", help="to write")
    parser.add_argument(
        "--transcripts", type=Path, nargs="*", default=[], metavar="H5", help="recognised words"
    )
    told = {"classes": NAMES, "model": OBJECT, "refit": {"type": "boolean"}}
    args = parse(parser, argv, told)
    run, classes = dict(zip(RUN, args.run, strict=True)), args.config["classes"]
    options = architectures.options(args.config["model"])
    table = tables.read(args.fold, "fold")
    check_classes(table, classes, args.fold)
    paths, strides = {"speech": args.speech, "text": args.text}, {"speech": options.frame_stride}
    files = {m: Means(m, paths[m], strides.get(m, 1)) for m in options.modalities}
    means = {m: file.of(table["id"]) for m, file in files.items()}
    model, said, how = fitted(means, table, classes, args.config["refit"], args.threads)
    tested = (table["part"] == "test").to_numpy()
    test, of_test = table[tested], {m: x[tested] for m, x in means.items()}
    changed = disturbed(model, files, of_test, test["id"])
    if args.transcripts:
        check_recognised(test["id"], args.transcripts)
        recognised = Means("text", args.transcripts, 1)
        check_origin(recognised.files[0], files["text"].encoder, "as the model was trained on")
        of_words = {**of_test, "text": recognised.of(test["id"])}
        changed["transcripts", "text", 1.0] = model.probabilities(of_words)
    about = {
        "classes": classes,
        "model": asdict(options),
        **how,
        "run": run,
        "encoders": {m: file.encoder for m, file in files.items()},
    }
    save(args.folder, model, about)
    tables.write(args.out, predictions_table(said, classes, run), "predictions")
    changed = perturbed_table(test, changed, classes, run)
    tables.write(args.perturbed, changed, "perturbed")
