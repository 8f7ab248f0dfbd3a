"""Take the likelihood of items whose context and ending are speech and text."""

from slamflow import commandline, logs
from slamflow.benchmarks import crossing


def main() -> None:
    paths = ("model", "centroids", "tokenizer", "scores")
    several = ("units", "speech", "alignments")
    args = commandline.parser(__doc__, *paths, several=several).parse_args()
    with logs.capture(args.log):
        model = args.model.parent
        label = f"score_crossing {model.name} {args.scores.stem}"
        crossing.score(
            args.config,
            model,
            args.units,
            args.speech,
            args.alignments,
            args.centroids,
            args.tokenizer,
            args.scores,
            args.machine,
            label,
        )


if __name__ == "__main__":
    main()
