"""What the models of a bundle say of new utterances.

An utterance goes the way that the corpus' went: through `extract` into features of the same layer
and type, and from there through each model. Features are kept in a temporary folder, as long as the
call takes. The probabilities of each model are flattened or sharpened by its weight, which the
validation part chose, and averaged over all.

Shapes: C classes, M models.
"""

import functools
import logging
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labelmer.base.digest import code_digest
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.tables import MODALITIES
from labelmer.features import encoders
from labelmer.features.extract import extract
from labelmer.features.items import Items, text_items
from labelmer.learning.device import device_of
from labelmer.prediction.bundled import opened
from labelmer.prediction.members import Given, member
from labelmer.prediction.salience import Salience, Weights
from labelmer.prediction.utterance import Utterance
from labelmer.scores.calibration import combined, log_probabilities

if TYPE_CHECKING:
    from labelmer.features.recogniser import Recogniser

WHAT = {"speech": "audio", "text": "words"}
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a bundle says of one utterance."""

    id: str
    text: str | None  # the words that were given or recognised
    classes: tuple[str, ...]
    probabilities: np.ndarray  # (C,): calibrated, averaged over the models
    of_models: np.ndarray  # (M, C): calibrated, of each model
    uncalibrated: np.ndarray  # (M, C): of each model, as `labelmer evaluate` has them
    salience: dict[str, Salience] = field(default_factory=dict)  # by modality, if asked for

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.classes[int(self.probabilities.argmax())]

    @property
    def confidence(self) -> float:
        """Its probability."""
        return float(self.probabilities.max())

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation over the models (C,); 0 of one model."""
        return self.of_models.std(axis=0)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: id, text, label, confidence, probabilities and spread by class."""
        return {
            "id": self.id,
            "text": self.text,
            "label": self.label,
            "confidence": self.confidence,
            "probabilities": dict(zip(self.classes, map(float, self.probabilities), strict=True)),
            "spread": dict(zip(self.classes, map(float, self.spread), strict=True)),
        }


class Predictor:
    """A bundle, ready to predict: predictor("hello.wav", "What a day.").label

    device: "cpu" or "cuda". Encoders are loaded when they are first needed, and stay. InputError:
    no bundle, or one that is not whole; another device.
    """

    def __init__(self, folder: Path | str, device: str = "cpu") -> None:
        if device not in DEVICES:
            raise InputError(f"device {device!r}, expected one of {list(DEVICES)}; give one")
        self.bundle = opened(folder)
        self.classes = tuple(self.bundle.classes)
        self.device = device_of(device != "cpu")
        self.models = [
            [
                (member(self.bundle.folder / part["folder"], self.device), part)
                for part in model["parts"]
            ]
            for model in self.bundle.models
        ]
        self._encoder = functools.cache(self._load)
        self._recogniser = functools.cache(self._load_recogniser)
        self._lock = threading.Lock()  # an encoder's tokenizer takes one thread at a time

    def __call__(
        self,
        audio: "Path | str | np.ndarray | None" = None,
        text: str | None = None,
        salience: bool = False,
        transcribe: bool = False,
    ) -> Prediction:
        """What the bundle says of one utterance.

        audio: a file in any format that the corpus readers take, or int16 samples, mono at 16 kHz;
        text: the words; salience: also say how much each token and frame counts; transcribe: go by
        the words that are recognised. InputError: what is missing, and the models were not trained
        to do without it; as of Utterance, and of transcribe().
        """
        if isinstance(audio, str | Path):
            from labelmer.prediction.recordings import whole  # soundfile may not be here

            given = Utterance(str(audio), whole(Path(audio)), text, source=str(audio))
        else:
            given = Utterance("utterance", audio, text)
        heard = self.transcribe([given]) if transcribe else [given]
        return self.predict(heard, salience=salience)[0]

    def transcribe(self, utterances: Sequence[Utterance]) -> list[Utterance]:
        """Utterances with the words that the bundle's speech recogniser hears; "" if it hears none.

        InputError: the bundle has none; an utterance that has no audio, or words already.
        """
        for u in utterances:
            if u.samples is None or u.text is not None:
                found = "no audio" if u.samples is None else "words already"
                raise InputError(
                    f"'{u.id}': {found}, expected audio whose words are to be recognised; do "
                    "without transcribing, or take the words out"
                )
        sounds = [u.samples for u in utterances if u.samples is not None]
        with self._lock:
            said = self._recogniser().recognise(sounds)
        for u, heard in zip(utterances, said, strict=True):
            if not heard.text:
                log.warning("'%s': no words are recognised: %s", u.id, heard.reason)
        return [replace(u, text=heard.text) for u, heard in zip(utterances, said, strict=True)]

    def predict(
        self, utterances: Sequence[Utterance], dialogue: bool = False, salience: bool = False
    ) -> list[Prediction]:
        """What the bundle says of utterances, in their order.

        dialogue: they are the turns of one dialogue, in order; models with context_turns look at
        those around each. Where all have times, turns that overlap are not around each other.
        """
        if not utterances:
            return []
        self._check(utterances, dialogue)
        ids, turns = [u.id for u in utterances], _turns(utterances) if dialogue else None
        there = {m: np.array([u.has(m) for u in utterances]) for m in MODALITIES}
        with self._lock, tempfile.TemporaryDirectory(prefix="labelmer-") as place, _passing(place):
            files: dict[str, Path] = {}
            calibrated, uncalibrated, weights = [], [], Weights(ids, there)
            for parts in self.models:
                of_parts = []
                for model, told in parts:
                    for name in set(told["encoders"].values()) - files.keys():
                        files[name] = self._extract(name, utterances, Path(place))
                    paths = {m: files[name] for m, name in told["encoders"].items()}
                    said = model.say(Given(ids, paths, there, turns), salience)
                    of_parts.append(said.p)
                    if told["weight"]:
                        weights.add(said.salience, paths)
                product = self._product(of_parts, parts, there)
                calibrated.append(product)
                uncalibrated.append(of_parts[0] if len(parts) == 1 else product)
            explained = weights.means()
        of_models, plain = np.stack(calibrated, 1), np.stack(uncalibrated, 1)  # (N, M, C)
        return [
            Prediction(u.id, u.text, self.classes, p.mean(axis=0), p, as_is, shown)
            for u, p, as_is, shown in zip(utterances, of_models, plain, explained, strict=True)
        ]

    @staticmethod
    def _product(
        of_parts: Sequence[np.ndarray],
        parts: Sequence[tuple[Any, Mapping[str, Any]]],
        there: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        """Probabilities (N, C) of a model's parts together, each (N, C) with its weight.

        A part with nothing to go by is left out of the product, as by `labelmer fuse`.
        """
        logs = [
            np.where(_heard(model, there).sum(axis=0)[:, None] > 0, log_probabilities(p), 0.0)
            for p, (model, _) in zip(of_parts, parts, strict=True)
        ]
        return np.exp(combined(logs, [told["weight"] for _, told in parts]))

    def _check(self, utterances: Sequence[Utterance], dialogue: bool) -> None:
        """InputError: no utterance, an id twice, something missing that is needed."""
        odd = [u for u in utterances if not isinstance(u, Utterance)]
        if odd:
            raise InputError(
                f"{odd[0]!r}: a {type(odd[0]).__name__}, expected an Utterance "
                "(labelmer.prediction.utterance); make one of it"
            )
        twice = [name for name, n in Counter(u.id for u in utterances).items() if n > 1]
        if twice:
            raise InputError(
                f"the utterance '{twice[0]}' is given twice; give it once, or each a name"
            )
        for u in utterances:
            # Of a recording, this was said when it was read.
            if u.samples is not None and not u.source and not u.samples.any():
                log.warning("'%s': nothing but digital silence; check the samples", u.id)
            if u.samples is None and u.text == "":
                log.warning("'%s': empty words and no audio: there is nothing to go by", u.id)
        looks = [model for model, _ in self.models[0] if model.turns]
        if dialogue and not looks:
            log.warning("these models look at no turns around an utterance: each is taken alone")
        there = {m: np.array([u.has(m) for u in utterances]) for m in MODALITIES}
        anything = np.zeros(len(utterances), bool)
        for model, told in self.models[0]:
            heard = _heard(model, there)
            count = heard.sum(axis=0)
            anything |= count > 0
            half = (count > 0) & (count < len(heard))
            if not model.takes_one and half.any():
                number = int(half.argmax())
                lacks = model.modalities[int(np.argmin(heard[:, number]))]
                raise InputError(
                    f"'{utterances[number].id}': no {WHAT[lacks]}, expected some: the model in "
                    f"{told['folder']} was always trained with both (modality_dropout: 0); give "
                    "it, or bundle a variant that can do without"
                )
        if not anything.all():
            number = int(anything.argmin())
            sees = " or ".join(
                WHAT[m] for m in MODALITIES if any(m in x.modalities for x, _ in self.models[0])
            )
            raise InputError(
                f"'{utterances[number].id}': no {sees}, expected some: these models go by nothing "
                "else; give it"
            )

    def _extract(self, name: str, utterances: Sequence[Utterance], folder: Path) -> Path:
        """Features of utterances by an encoder; those that lack its modality have a row of it."""
        encoder, facts = self._encoder(name)
        dtype = self.bundle.about["encoders"][name]["dtype"]
        if encoder.modality == "text":
            items = text_items({u.id: u.text or "" for u in utterances})
        else:
            silence = np.zeros(0, np.int16)
            heard = {u.id: silence if u.samples is None else u.samples for u in utterances}
            inputs = [heard[i] for i in sorted(heard)]
            items = Items("speech", sorted(heard), inputs, [x.tobytes() for x in inputs])
        path = folder / f"{name}.h5"
        extract(items, encoder, facts, path, code_digest(encoder.family.module), dtype)
        return path

    def _load(self, name: str) -> tuple[Any, dict[str, Any]]:
        """An encoder of the bundle, and where it comes from."""
        folder, facts = self.bundle.encoder(name)
        told = self.bundle.about["encoders"][name]
        precision, layer = told["precision"], told["layer"]
        return encoders.load(folder, layer, self.device, precision, **told["options"]), facts

    def _load_recogniser(self) -> "Recogniser":
        from labelmer.features.recogniser import Recogniser

        folder, options = self.bundle.transcriber()
        return Recogniser(folder, self.device, **options)


@contextmanager
def _passing(folder: str) -> Iterator[None]:
    """While files of features in a folder pass: the log and errors call them by their encoders.

    But what says that the folder cannot be written names it.
    """
    path = re.compile(rf"{re.escape(folder)}/(.+?)\.h5")

    def named(record: logging.LogRecord) -> bool:
        record.msg, record.args = path.sub(r"encoder \1", record.getMessage()), ()
        return True

    log.addFilter(named)
    try:
        yield
    except InputError as error:
        raise InputError(path.sub(rf"encoder \1, in {folder}", str(error))) from None
    finally:
        log.removeFilter(named)


def _heard(model: Any, there: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which of its modalities a model is given of each utterance: (modalities, N)."""
    return np.stack([there[m] for m in model.modalities])


def _turns(utterances: Sequence[Utterance]) -> pd.DataFrame:
    """The table "utterances" of a dialogue; without times, each turn ends as the next begins."""
    timed = all(u.start_s is not None and u.end_s is not None for u in utterances)
    rows = [
        (u.id, "", "", u.speaker, *((u.start_s, u.end_s) if timed else (number, number + 1)))
        for number, u in enumerate(utterances)
    ]
    columns = ["id", "session", "dialogue", "speaker", "start_s", "end_s"]
    return pd.DataFrame(rows, columns=columns)
