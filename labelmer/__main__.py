"""`labelmer VERB ...` is `python -m labelmer.VERB ...`; only that verb's module is imported."""

import importlib
import sys

VERBS = {
    "demo": "speak the demo corpus",
    "segment": "corpus audio -> one file of utterances per session",
    "annotate": "corpus annotations -> tables of utterances and of labels",
    "transcripts": "recognised words -> tables of utterances with these words",
    "split": "folds, and the audit of them",
    "rationales": "rationales, held against the corpus",
    "fetch": "an encoder's snapshot, to be used offline from then on",
    "finetune": "an encoder, fine-tuned on one fold's training part",
    "extract": "utterances -> token or frame features",
    "train": "one model, one fold, one seed",
    "evaluate": "a trained model -> predictions",
    "linear": "logistic regression on means of features, and its predictions",
    "fuse": "predictions of two models or more -> their late fusion",
    "tabulate": "predictions -> result tables",
    "slices": "predictions -> accuracy on slices of the test utterances",
    "stress": "predictions of disturbed inputs -> result tables",
    "salience": "salience and rationales -> how much lies where the label is told",
    "convergence": "training histories -> how long each variant went on learning",
    "plot": "result tables and predictions -> figures",
    "illustrate": "six utterances with their salience -> a figure",
    "page": "tables and figures -> one HTML page",
    "inspect": "what a ragged file holds, from what, and whether it is sane",
}

USAGE = "usage: labelmer VERB ...\n\n" + "\n".join(f"  {v:12}{w}" for v, w in VERBS.items())


def main():
    """Run the verb named first on the command line with the arguments that follow it."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(USAGE)
        return
    verb = sys.argv.pop(1)
    if verb not in VERBS:
        sys.exit(f"error: unknown verb '{verb}'\n\n{USAGE}")
    sys.argv[0] = f"labelmer {verb}"
    importlib.import_module(f"labelmer.{verb}").main()


if __name__ == "__main__":
    main()
