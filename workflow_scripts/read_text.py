"""Read the documents, pairs or preferences of text files."""

import importlib
from pathlib import Path

import pyarrow as pa

from slamflow import commandline, files, logs, rejections
from slamflow.corpora.texts import outputs
from slamflow.tables import rejected as rejected_table
from slamflow.tables import sources as sources_table
from slamflow.tables import text as text_table
from slamflow.tables.gathered import Gathered


def main() -> None:
    parser = commandline.parser(__doc__, "sources", "text", "rejected", several=("heard",))
    args = parser.parse_args()
    with logs.capture(args.log):
        engine = importlib.import_module(f"slamflow.corpora.texts.{args.config['kind']}")
        sources = files.read_table(args.sources, sources_table.SCHEMA)
        tables = [files.read_table(path, text_table.SCHEMA) for path in args.heard]
        heard = pa.concat_tables(tables) if tables else None
        data_root = Path(args.machine["data_root"])
        left_out = Gathered(rejected_table.SCHEMA)
        items = engine.read(args.config, sources, data_root, left_out, heard)
        with files.writing_table(args.text, text_table.SCHEMA) as put:
            kept, rejected = outputs.write(items, put), left_out.table()
            files.write_table(rejected, args.rejected, rejected_table.SCHEMA)
            at_most = args.machine["rejected_at_most"]
            rejections.check(kept, rejected, at_most, args.text, args.log)
            outputs.check(kept, rejected, sources)


if __name__ == "__main__":
    main()
