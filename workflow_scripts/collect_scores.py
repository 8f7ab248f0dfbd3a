"""Average the scores of all models on all benchmarks: eval.tsv and comparisons.tsv."""

from slamflow import commandline, logs
from slamflow.report import tables


def main() -> None:
    several = ("scores", "qualities", "measures")
    args = commandline.parser(__doc__, "eval", "comparisons", several=several).parse_args()
    with logs.capture(args.log):
        # scores/{model}/{benchmark}.parquet, generation/{model}/{benchmark}.json and
        # tokenisers/{tokeniser}/quality.json
        scores, measures = (
            {(path.parent.name, path.stem): path for path in paths}
            for paths in (args.scores, args.measures)
        )
        qualities = {path.parent.name: path for path in args.qualities}
        summary = tables.collect(
            args.config, scores, qualities, args.eval, args.comparisons, measures
        )
        logs.say(summary)


if __name__ == "__main__":
    main()
