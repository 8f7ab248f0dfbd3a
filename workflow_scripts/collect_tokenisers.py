"""Put the quality of all tokenisers into one table: tokenisers.tsv."""

from slamflow import commandline, logs
from slamflow.report import tokenisers


def main() -> None:
    parser = commandline.parser(__doc__, "table", several=("qualities",))
    args = parser.parse_args()
    with logs.capture(args.log):
        # tokenisers/{tokeniser}/quality.json
        qualities = {path.parent.name: path for path in args.qualities}
        logs.say(tokenisers.collect(qualities, args.table))


if __name__ == "__main__":
    main()
