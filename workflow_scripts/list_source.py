"""List the files of a corpus."""

from pathlib import Path

from slamflow import commandline, files, logs
from slamflow.corpora.listing import sources
from slamflow.tables import sources as sources_table


def main() -> None:
    args = commandline.parser(__doc__, "sources").parse_args()
    with logs.capture(args.log):
        data_root = Path(args.machine["data_root"])
        list_files = {"audio": sources.list_audio, "text": sources.list_text}[args.config["kind"]]
        table = list_files(args.config, data_root)
        logs.info(f"{len(table)} files")
        files.write_table(table, args.sources, sources_table.SCHEMA)


if __name__ == "__main__":
    main()
