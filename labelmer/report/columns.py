"""The result tables: their columns; reading and writing.

Apart from the other tables, so that a new metric trains nothing anew.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from labelmer.base import tables
from labelmer.base.tables import MODALITIES, VARIANT, Column
from labelmer.scores.metrics import METRICS

EXPERIMENT = ["speech", "text", "mode"]
PROTOCOL = {
    "protocol": Column(str, "what is held out, what validates, what becomes of shared scripts"),
    "selection": Column(str, "how the epoch was chosen"),
    "folds": Column(int, "number of folds"),
    "seeds": Column(int, "number of seeds"),
    "utterances": Column(int, "number of test utterances behind the row"),
}
SCALINGS = ("none", "temperature")
SLICINGS = ("class", "length", "kind", "alone")
CONDITIONS = {  # of a robustness table, and how a reader is told of them
    "all": "all",
    "speech missing": "speech missing",
    "text missing": "text missing",
    "context missing": "turns around missing",
    "transcripts": "recognised words",
}
MISSING = (*MODALITIES, "either")  # what a share of the test utterances lacks
OTHERS = [name for name in METRICS if name not in ("ua", "wa")]  # fold mean alone
MEASURES = ("salience", "pooling", "expert_pooling", "received", "says")
INPUTS = {
    "inputs": Column(
        str,
        "what the variant is given: modalities, turns around, columns of metadata; another "
        "experiment's encoders, where it multiplies models of these",
    )
}
SPEAKERS = {"speakers": Column(int, "number of test speakers")}


def bounds(prefix: str, what: str, units: str) -> dict[str, Column]:
    """The two columns of a 95% interval by the jackknife over units."""
    end = f"end of the 95% interval of {what}, jackknife over {units}"
    return {
        f"{prefix}low": Column(float, f"lower {end}", empty=True),
        f"{prefix}high": Column(float, f"upper {end}", empty=True),
    }


# Both tests that two variants differ (intervals.compared, with_holm).
TESTS = {
    "p_jackknife": Column(float, "two-sided, of the jackknife over speakers", empty=True),
    "p_jackknife_holm": Column(float, "corrected for all rows by Holm's method", empty=True),
    "right_alone": Column(
        float,
        "utterances that the variant alone has right, seeds voting; empty where as many do not "
        "vote in both",
        empty=True,
    ),
    "other_right_alone": Column(float, "utterances that the other alone has right", empty=True),
    "p_mcnemar": Column(float, "McNemar's exact test of these two numbers", empty=True),
    "p_mcnemar_holm": Column(float, "corrected for all rows by Holm's method", empty=True),
    "detectable": Column(
        float, "smallest true difference that is found with chance 80% at 5%", empty=True
    ),
}


def against_random(prefix: str, what: str) -> dict[str, Column]:
    """The columns of a paired comparison of the two orders of deletion."""
    name = f"{prefix}against_random"
    of_random = f"{what} after random deletion minus {what} after most-salient deletion"
    return {
        name: Column(float, of_random, empty=True),
        **bounds(f"{name}_", "it", "speakers"),
        f"{name}_p": Column(float, "two-sided, of the jackknife over speakers", empty=True),
        f"{name}_p_holm": Column(float, "corrected for all rows by Holm's method", empty=True),
    }


RESULTS = {
    "folds": {
        **VARIANT,
        **INPUTS,
        "fold": Column(int, "fold"),
        "held_out": tables.TABLES["audit"]["held_out"],
        "seed": tables.RUN["seed"],
        **{name: Column(float, metric.words) for name, metric in METRICS.items()},
        **PROTOCOL,
    },
    "summary": {
        **VARIANT,
        "metric": Column(str, "name of the metric", tuple(METRICS)),
        "mean": Column(float, "mean over folds of the mean over seeds"),
        "sd": Column(float, "standard deviation over folds of the mean over seeds", empty=True),
        "seed_sd": Column(float, "standard deviation over seeds of the fold mean", empty=True),
        "pooled": Column(float, "over the utterances of all folds at once, mean over seeds"),
        **bounds("speaker_", "pooled", "speakers"),
        **bounds("utterance_", "pooled", "utterances"),
        **SPEAKERS,
        **PROTOCOL,
    },
    "classes": {
        **VARIANT,
        "label": Column(str, "class"),
        "precision": Column(float, "pooled over folds, mean over seeds", empty=True),
        "recall": Column(float, "pooled over folds, mean over seeds", empty=True),
        "f1": Column(float, "pooled over folds, mean over seeds", empty=True),
        "support": Column(int, "number of test utterances of the class"),
        **PROTOCOL,
    },
    "confusion": {
        **VARIANT,
        "true": Column(str, "class"),
        "predicted": Column(str, "class"),
        "count": Column(float, "test utterances, pooled over folds, mean over seeds"),
        "share": Column(float, "of the true class", empty=True),
        **PROTOCOL,
    },
    "convergence": {
        **VARIANT,
        "runs": Column(int, "trainings: folds times seeds"),
        "updates": Column(float, "that a training made, mean over runs"),
        "chosen": Column(float, "updates up to the epoch that was chosen, mean over runs"),
        "chosen_least": Column(int, "the least of these"),
        "chosen_most": Column(int, "the most of these"),
        "late": Column(
            float,
            "share of the runs, without those that patience ended, with their epoch in the last "
            "tenth",
        ),
        "selection": PROTOCOL["selection"],
    },
    "weights": {
        **VARIANT,
        **{name: tables.TABLES["weights"][name] for name in ("member", "models")},
        "runs": Column(int, "products: folds times seeds; folds, where seeds are together"),
        "weight": Column(float, "power of the member's posterior, mean over runs"),
        "weight_least": Column(float, "the least of these"),
        "weight_most": Column(float, "the most of these"),
        "left_out": Column(float, "share of the runs in which it is 0"),
        "selection": PROTOCOL["selection"],
    },
    "compare": {
        **VARIANT,
        **INPUTS,
        "models": Column(int, "whose predictions a run multiplies; 1 of what is no late fusion"),
        "runs": Column(int, "folds times seeds; folds, where a run multiplies those of all seeds"),
        "ua": Column(float, "unweighted accuracy, fold mean"),
        "ua_sd": Column(float, "over folds", empty=True),
        "wa": Column(float, "weighted accuracy, fold mean"),
        "wa_sd": Column(float, "over folds", empty=True),
        **{name: Column(float, f"{METRICS[name].words}, fold mean") for name in OTHERS},
        "ua_pooled": Column(float, "over the utterances of all folds at once"),
        "wa_pooled": Column(float, "over the utterances of all folds at once"),
        **bounds("ua_", "ua_pooled", "speakers"),
        **bounds("wa_", "wa_pooled", "speakers"),
        "ece": Column(float, "expected calibration error, 15 equal bins; pooled, mean over seeds"),
        "ece_scaled": Column(float, "the same after scaling by the temperature of each run"),
        "temperature": Column(
            float, "geometric mean over runs; each fitted on its validation part"
        ),
        **SPEAKERS,
        **PROTOCOL,
    },
    "pairs": {
        **VARIANT,
        "other": Column(str, "variant that it is compared with"),
        "difference": Column(float, "pooled UA of the variant minus that of the other"),
        **bounds("", "the difference", "speakers"),
        **TESTS,
        **SPEAKERS,
        **PROTOCOL,
    },
    "slices": {
        **VARIANT,
        "slicing": Column(str, "how the test utterances are sliced", SLICINGS),
        "slice": Column(str, "name of the slice"),
        "above_s": Column(float, "of length: utterances are longer than this, seconds", empty=True),
        "up_to_s": Column(float, "and at most this", empty=True),
        "utterances": PROTOCOL["utterances"],
        **SPEAKERS,
        "ua": Column(float, "unweighted accuracy over the classes that the slice has, pooled"),
        "wa": Column(float, "weighted accuracy, pooled"),
        **bounds("", "ua", "speakers"),
        "other": Column(str, "the experiment's reference; empty in its own rows", empty=True),
        "difference": Column(float, "ua minus that of the reference", empty=True),
        **bounds("difference_", "the difference", "speakers"),
        **TESTS,
        **PROTOCOL,
    },
    "calibration": {
        **VARIANT,
        "scaling": Column(str, "by no temperature, or by that of each run", SCALINGS),
        "bin": Column(int, "from 1"),
        "above": Column(float, "confidences of the bin are above this"),
        "up_to": Column(float, "and at most this"),
        "count": Column(float, "test utterances, pooled over folds, mean over seeds"),
        "confidence": Column(float, "mean probability of the predicted class", empty=True),
        "accuracy": Column(float, "share that is right", empty=True),
        "ece": Column(float, "expected calibration error of all bins, as in compare"),
        **PROTOCOL,
    },
    "robustness": {
        **VARIANT,
        "condition": Column(str, "what the model is given", tuple(CONDITIONS)),
        "ua": Column(float, "unweighted accuracy, pooled over folds, mean over seeds"),
        **bounds("ua_", "ua", "speakers"),
        "wa": Column(float, "weighted accuracy, pooled over folds, mean over seeds"),
        **bounds("wa_", "wa", "speakers"),
        "difference": Column(float, "ua minus that of the condition all"),
        **bounds("difference_", "the difference", "speakers"),
        **SPEAKERS,
        **PROTOCOL,
    },
    "missing_rates": {
        **VARIANT,
        "missing": Column(
            str, "what some test utterances lack; either: half of these speech, half text", MISSING
        ),
        "share": Column(float, "of the test utterances that lack it"),
        "ua": Column(float, "unweighted accuracy, pooled over folds, mean over seeds"),
        **bounds("ua_", "ua", "speakers"),
        "wa": Column(float, "weighted accuracy, pooled over folds, mean over seeds"),
        **bounds("wa_", "wa", "speakers"),
        "difference": Column(float, "ua minus that of the share 0"),
        **bounds("difference_", "the difference", "speakers"),
        **SPEAKERS,
        **PROTOCOL,
    },
    "deletion": {
        **VARIANT,
        "modality": Column(str, "what rows are deleted from", MODALITIES),
        "order": Column(str, "which rows go first", tables.ORDERS),
        "share": Column(float, "of the modality's tokens or frames that is deleted"),
        "ua": Column(float, "unweighted accuracy, pooled over folds, mean over seeds"),
        **bounds("ua_", "ua", "speakers"),
        "confidence": Column(
            float, "mean probability of the class that is predicted without deletion"
        ),
        **bounds("confidence_", "confidence", "speakers"),
        **against_random("", "ua"),
        **against_random("confidence_", "confidence"),
        **SPEAKERS,
        **PROTOCOL,
    },
    "cross_corpus": {
        **VARIANT,
        "trained_on": Column(str, "corpus of the study"),
        "other": Column(str, "another corpus; only classes that it has too are scored"),
        "tested_on": Column(
            str, "the other corpus, or the study's own: its test parts, cross-validated"
        ),
        "classes": Column(str, "that are scored: those that both corpora have by name"),
        "not_tested": Column(
            str, "classes that the models know and the other corpus lacks", empty=True
        ),
        "not_trained": Column(
            str, "classes of the other corpus that the models do not know", empty=True
        ),
        **{
            name: Column(float, f"{METRICS[name].words}, mean over models")
            for name in ("ua", "wa", *OTHERS)
        },
        **bounds("ua_", "ua", "speakers of the corpus that is tested"),
        **bounds("wa_", "wa", "speakers of the corpus that is tested"),
        "chance": Column(float, "ua of guessing: one over the number of classes"),
        "largest": Column(float, "share of the largest class: wa of naming it always"),
        "confidence": Column(float, "mean probability of the predicted class, mean over models"),
        "ece": Column(float, "expected calibration error, 15 equal bins, mean over models"),
        "ece_scaled": Column(
            float, "the same after scaling by each run's temperature, of its own validation part"
        ),
        **SPEAKERS,
        **PROTOCOL,
    },
    "salience": {
        **VARIANT,
        "modality": Column(str, "whose rationales and salience", MODALITIES),
        "measure": Column(str, "what weighs the tokens or frames", MEASURES),
        "share": Column(
            float, "of the measure that lies on the rationale, pooled, mean over seeds"
        ),
        **bounds("", "the share", "speakers"),
        "uniform": Column(float, "share of the tokens or frames that lie on the rationale"),
        "ratio": Column(float, "share divided by uniform, if that is above 0", empty=True),
        "over_uniform": Column(float, "share minus uniform"),
        **bounds("over_uniform_", "that difference", "speakers"),
        "over_uniform_p": Column(float, "two-sided, of the jackknife over speakers", empty=True),
        "attention": Column(str, "the variant whose plain attention is compared", empty=True),
        "over_attention": Column(float, "share minus the share of that variant", empty=True),
        **bounds("over_attention_", "that difference", "speakers"),
        "over_attention_p": Column(float, "two-sided, of the jackknife over speakers", empty=True),
        **SPEAKERS,
        **PROTOCOL,
    },
}


# Apart, as no experiment has a part in it.
RECOGNITION = {
    "recognition": {
        "slicing": Column(str, "how the utterances are sliced", ("all", "class", "session")),
        "slice": Column(str, "name of the slice"),
        "utterances": Column(int, "number of utterances whose words the corpus has"),
        **SPEAKERS,
        "words": Column(int, "the corpus' words of these, normalised"),
        "wer": Column(float, "substitutions, deletions and insertions, divided by words"),
        **bounds("wer_", "wer", "speakers"),
        "substitutions": Column(int, "words for which another was recognised"),
        "deletions": Column(int, "words that were not recognised"),
        "insertions": Column(int, "words that were recognised and not said"),
        "empty": Column(int, "utterances in which no words were recognised"),
        "normaliser": Column(
            str,
            "how both were normalised: EnglishTextNormalizer (Whisper's) or words_of (base.words)",
        ),
    }
}


def read(path: Path | str, name: str) -> pd.DataFrame:
    """Read the result table `name`; raise InputError if it is not what RESULTS says."""
    return tables.read(path, name, RESULTS)


def write(path: Path | str, frame: pd.DataFrame, name: str) -> None:
    """Check a frame against RESULTS and write it as a TSV file, whole or not at all."""
    tables.write(path, frame, name, RESULTS)


def without_features(table: pd.DataFrame) -> dict[str, str]:
    """The variants of a table "compare" or "folds" that are given no modality, and their inputs."""
    inputs = dict(zip(table["variant"], table["inputs"], strict=True))
    return {
        variant: names
        for variant, names in inputs.items()
        if not set(names.split(", ")) & set(MODALITIES)
    }


def reference_of(variants: Sequence[str]) -> str:
    """The variant that the others of an experiment are compared with: full, or the first."""
    return "full" if "full" in variants else variants[0]
