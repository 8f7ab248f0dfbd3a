"""Generate the text of a corpus from the seeded grammar."""

import importlib

from slamflow import commandline, files, logs
from slamflow.tables import text as text_table


def main() -> None:
    args = commandline.parser(__doc__, "text", several=("heard",)).parse_args()
    with logs.capture(args.log):
        engine = importlib.import_module(f"slamflow.corpora.generated.{args.config['content']}")
        heard = files.read_table(args.heard[0], text_table.SCHEMA) if args.heard else None
        text = engine.generate(args.config, heard)
        logs.info(f"{len(text)} utterances")
        files.write_table(text, args.text, text_table.SCHEMA)


if __name__ == "__main__":
    main()
