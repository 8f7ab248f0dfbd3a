"""Average the scores of all models on all benchmarks: eval.tsv and comparisons.tsv."""

from slamflow import commandline, logs
from slamflow.report import tables


def main() -> None:
    parser = commandline.parser(__doc__, "eval", "comparisons", several=("scores", "qualities"))
    args = parser.parse_args()
    with logs.capture(args.log):
        # scores/{model}/{benchmark}.parquet and tokenisers/{tokeniser}/quality.json
        scores = {(path.parent.name, path.stem): path for path in args.scores}
        qualities = {path.parent.name: path for path in args.qualities}
        summary = tables.collect(args.config, scores, qualities, args.eval, args.comparisons)
        logs.say(summary)


if __name__ == "__main__":
    main()
