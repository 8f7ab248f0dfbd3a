"""Read the documents of a text file."""

from pathlib import Path

from slamflow import commandline, files, logs
from slamflow.corpora.texts import text as documents
from slamflow.tables import sources as sources_table
from slamflow.tables import text as text_table


def main() -> None:
    args = commandline.parser(__doc__, "sources", "text").parse_args()
    with logs.capture(args.log):
        sources = files.read_table(args.sources, sources_table.SCHEMA)
        text = documents.read_text(args.config, sources, Path(args.machine["data_root"]))
        logs.info(f"{len(text)} documents")
        files.write_table(text, args.text, text_table.SCHEMA)


if __name__ == "__main__":
    main()
