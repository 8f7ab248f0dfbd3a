"""Take the base model's log-probabilities of both answers of each preference."""

from slamflow import commandline, logs
from slamflow.preference import references


def main() -> None:
    args = commandline.parser(__doc__, "pairs", "model", "references").parse_args()
    with logs.capture(args.log):
        model = args.model.parent
        label = f"score_references {model.name}"
        references.score(model, args.pairs, args.references, args.machine, label)


if __name__ == "__main__":
    main()
