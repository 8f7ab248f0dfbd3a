"""Take an n-gram model's likelihood of every item of a benchmark."""

from slamflow import commandline, logs
from slamflow.benchmarks import ngram_scoring


def main() -> None:
    several = ("units", "speech", "alignments")
    args = commandline.parser(__doc__, "model", "scores", several=several).parse_args()
    with logs.capture(args.log):
        model = args.model.parent
        paths = (args.units, args.scores, args.machine, args.speech, args.alignments)
        ngram_scoring.score(args.config, model, *paths)


if __name__ == "__main__":
    main()
