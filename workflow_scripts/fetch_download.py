"""Fetch a pinned download, and list its files."""

from slamflow import commandline, files, logs
from slamflow.downloads import fetching
from slamflow.tables import downloads as downloads_table


def main() -> None:
    parser = commandline.parser(__doc__, "manifest")
    parser.add_argument("--name", required=True, help="of the download")
    args = parser.parse_args()
    with logs.capture(args.log):
        label = f"fetch_download {args.name}"
        table = fetching.fetch(args.name, args.config, args.machine, label)
        logs.info(f"{len(table)} files")
        files.write_table(table, args.manifest, downloads_table.SCHEMA)


if __name__ == "__main__":
    main()
