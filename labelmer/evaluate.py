"""A trained model -> its predictions for the validation and the test part of its fold."""

from pathlib import Path

from labelmer import tables
from labelmer.batches import load_part, predict
from labelmer.compute import device_of, make_deterministic
from labelmer.model import load
from labelmer.stage import RUN, command, log, parse, run_parser


def predictions(model, classes, table, paths, run):
    """The table "predictions" of a fold's validation and test utterances.

    table: fold table; paths: {modality: feature files}; run: values of the run's own columns.
    """
    options = model.options
    asked = table[table.part != "train"].reset_index(drop=True)
    part = load_part(asked, paths, classes, options.modalities, options.frame_stride)
    probabilities = predict(model, part).double().softmax(-1)
    frame = asked[["id", "part"]].assign(
        true=asked.label, predicted=[classes[i] for i in probabilities.argmax(-1)]
    )
    columns = {f"p_{name}": probabilities[:, i].numpy() for i, name in enumerate(classes)}
    return frame.assign(**columns, **run)


@command
def main(argv=None):
    """Command line of the rule evaluate."""
    parser = run_parser(__doc__)
    parser.add_argument("out", type=Path, help="table of predictions to write")
    args = parse(parser, argv)
    make_deterministic(0, args.threads)
    model, classes = load(args.folder)
    table = tables.read(args.fold, "fold")
    run = dict(zip(RUN, args.run, strict=True))
    paths = {"speech": args.speech, "text": args.text}
    frame = predictions(model.to(device_of(args.gpu)), classes, table, paths, run)
    tables.write(args.out, frame, "predictions")
    log.info("%d utterances, %s", len(frame), frame.part.value_counts().to_dict())


if __name__ == "__main__":
    main()
