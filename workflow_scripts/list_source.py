"""List the files of a corpus."""

import importlib
from pathlib import Path

from slamflow import commandline, files, logs
from slamflow.tables import downloads as downloads_table
from slamflow.tables import sources as sources_table

TEXTS = ("swag", "blimp", "words")  # kinds of text, which lie in files as all others do


def main() -> None:
    args = commandline.parser(__doc__, "sources", several=("manifest",)).parse_args()
    with logs.capture(args.log):
        kind = "text" if args.config["kind"] in TEXTS else args.config["kind"]
        engine = importlib.import_module(f"slamflow.corpora.listing.{kind}")
        manifest = None
        if args.manifest:
            manifest = files.read_table(args.manifest[0], downloads_table.SCHEMA)
        table = engine.list_files(args.config, Path(args.machine["data_root"]), manifest)
        logs.info(f"{len(table)} files")
        files.write_table(table, args.sources, sources_table.SCHEMA)


if __name__ == "__main__":
    main()
