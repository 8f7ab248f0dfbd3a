"""Take an n-gram model's likelihood of every item of a benchmark."""

from slamflow import commandline, logs
from slamflow.benchmarks import ngram_scoring


def main() -> None:
    args = commandline.parser(__doc__, "model", "scores", several=("units", "speech")).parse_args()
    with logs.capture(args.log):
        model = args.model.parent
        ngram_scoring.score(args.config, model, args.units, args.scores, args.machine, args.speech)


if __name__ == "__main__":
    main()
