"""Count the units of a mixture: a baseline without a network."""

from slamflow import commandline, logs
from slamflow.lm import ngram


def main() -> None:
    args = commandline.parser(__doc__, "packed", "model").parse_args()
    with logs.capture(args.log):
        ngram.count(args.config, args.packed, args.model.parent)


if __name__ == "__main__":
    main()
