"""Put the answers to all questions of a study into one table."""

from slamflow import commandline, logs
from slamflow.report import study


def main() -> None:
    parser = commandline.parser(__doc__, "table", several=("answers",))
    args = parser.parse_args()
    with logs.capture(args.log):
        study.collect(args.answers, args.table)


if __name__ == "__main__":
    main()
