"""Take an n-gram model's likelihood of every item of a benchmark."""

from slamflow import commandline, logs
from slamflow.benchmarks import ngram_scoring


def main() -> None:
    args = commandline.parser(__doc__, "model", "scores", several=("units",)).parse_args()
    with logs.capture(args.log):
        ngram_scoring.score(args.config, args.model.parent, args.units, args.scores, args.machine)


if __name__ == "__main__":
    main()
