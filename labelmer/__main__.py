"""`labelmer VERB ...`, or `python -m labelmer VERB ...`: only that verb's module is imported."""

import importlib
import sys

from labelmer.base.errors import STOPPED

# verb: its module, what it does
VERBS = {
    "workflow": ("config.workflow", "the workflow -> a folder where snakemake runs it"),
    "demo": ("demo.release", "speak the demo corpus"),
    "manifest": ("corpus.manifest", "a public corpus as it is distributed -> a table, a config"),
    "segment": ("corpus.segment", "corpus audio -> one file of utterances per session"),
    "utterances": ("corpus.utterances", "corpus transcripts -> tables of utterances"),
    "labels": ("corpus.labels", "corpus evaluations -> tables of labels"),
    "transcripts": (
        "corpus.transcripts",
        "recognised words -> tables with these words",
    ),
    "transcribe": ("features.transcribe", "utterances -> recognised words"),
    "split": ("corpus.split", "folds, and the audit of them"),
    "match": ("corpus.match", "another corpus' utterances of the classes that both have"),
    "rationales": ("report.rationales", "rationales, held against the corpus"),
    "fetch": ("features.fetch", "an encoder's snapshot, to be used offline from then on"),
    "finetune": ("features.finetune", "an encoder, fine-tuned on one fold's training part"),
    "extract": ("features.extract", "utterances -> token or frame features"),
    "train": ("models.train", "one model, one fold, one seed"),
    "evaluate": ("models.evaluate", "a trained model -> predictions"),
    "linear": ("models.linear", "logistic regression on means of features, and its predictions"),
    "metadata": ("models.metadata", "what can be guessed without features, and its predictions"),
    "fuse": ("models.fuse", "predictions of two models or more -> their late fusion"),
    "transfer": ("models.transfer", "a trained model -> its predictions of another corpus"),
    "tabulate": ("report.tabulate", "predictions -> result tables"),
    "salience": (
        "report.salience",
        "salience and rationales -> how much lies there",
    ),
    "convergence": (
        "report.convergence",
        "histories -> how long each variant learned",
    ),
    "weights": ("report.weights", "weights of late fusions -> those of each member, over runs"),
    "recognition": ("report.recognition", "recognised words -> word error rates"),
    "browser": (
        "report.browser",
        "predictions, salience, audio -> what the page shows of each utterance",
    ),
    "cross_corpus": (
        "report.cross_corpus",
        "predictions of other corpora -> how far the models carry",
    ),
    "plot": ("figures.plot", "result tables, histories or salience -> one figure"),
    "page": ("report.page", "tables and figures -> one HTML page"),
    "bundle": ("prediction.bundle", "trained models -> one folder, to predict with and to pass on"),
    "predict": ("prediction.predict", "a bundle and new recordings or words -> emotions"),
    "options": ("config.documents", "what the code knows -> schema and tables of the docs"),
    "inspect": ("inspection", "what a file, model, bundle or results folder holds"),
}

WIDTH = 2 + max(map(len, VERBS))
USAGE = "usage: labelmer VERB ...\n\n" + "\n".join(
    f"  {verb:{WIDTH}}{what}" for verb, (_, what) in VERBS.items()
)


def main() -> None:
    """Run the verb named first on the command line with the arguments that follow it."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(USAGE)
        return
    verb = sys.argv.pop(1)
    if verb not in VERBS:
        sys.exit(f"error: unknown verb '{verb}'\n\n{USAGE}")
    sys.argv[0] = f"labelmer {verb}"
    try:
        importlib.import_module(f"labelmer.{VERBS[verb][0]}").main()
    except KeyboardInterrupt:  # before main() was there to hear it
        print(STOPPED, file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
