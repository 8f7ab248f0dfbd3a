"""Show all results on one page: report.html."""

from pathlib import Path

from slamflow import commandline, logs
from slamflow.report.page import writing


def main() -> None:
    parser = commandline.parser(__doc__, "eval", "comparisons", "report")
    args = parser.parse_args()
    with logs.capture(args.log):
        data_root = Path(args.machine.get("data_root", "data"))
        writing.write(args.config, args.eval, args.comparisons, args.report, data_root)


if __name__ == "__main__":
    main()
