"""Draw the answers to all questions of a study: a page of small multiples."""

from slamflow import commandline, logs
from slamflow.report import study_page


def main() -> None:
    parser = commandline.parser(__doc__, "table", "page")
    args = parser.parse_args()
    with logs.capture(args.log):
        study_page.draw(args.config["questions"], args.table, args.page)


if __name__ == "__main__":
    main()
