"""A trained model -> its predictions for the validation and the test part of its fold."""

from pathlib import Path

from labelmer import tables
from labelmer.batches import load_part, predict
from labelmer.compute import device_of, make_deterministic
from labelmer.model import load
from labelmer.stage import command, log, parse, stage_parser


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
    parser = stage_parser(__doc__)
    parser.add_argument("fold", type=Path, help="fold table")
    parser.add_argument("folder", type=Path, help="the model's folder")
    parser.add_argument("out", type=Path, help="table of predictions to write")
    parser.add_argument("--speech", type=Path, nargs="*", default=[], metavar="H5")
    parser.add_argument("--text", type=Path, nargs="*", default=[], metavar="H5")
    columns = ("speech", "text", "mode", "variant", "fold", "seed")
    parser.add_argument("--run", nargs=6, required=True, metavar=tuple(map(str.upper, columns)))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gpu", type=int, default=0, help="0: the CPU, 1: a GPU if there is one")
    args = parse(parser, argv)
    make_deterministic(0, args.threads)
    model, classes = load(args.folder)
    table = tables.read(args.fold, "fold")
    run = dict(zip(columns, args.run, strict=True))
    paths = {"speech": args.speech, "text": args.text}
    frame = predictions(model.to(device_of(args.gpu)), classes, table, paths, run)
    tables.write(args.out, frame, "predictions")
    log.info("%d utterances, %s", len(frame), frame.part.value_counts().to_dict())


if __name__ == "__main__":
    main()
