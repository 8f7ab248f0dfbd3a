"""Take a causal language model's likelihood of every item of a benchmark."""

from slamflow import commandline, logs
from slamflow.benchmarks import scoring


def main() -> None:
    args = commandline.parser(__doc__, "model", "scores", several=("units",)).parse_args()
    with logs.capture(args.log):
        scoring.score(args.config, args.model.parent, args.units, args.scores, args.machine)


if __name__ == "__main__":
    main()
