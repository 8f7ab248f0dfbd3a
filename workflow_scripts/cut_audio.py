"""Cut one shard of recordings into utterances."""

import importlib
from pathlib import Path

from slamflow import commandline, files, logs, rejections
from slamflow.tables import rejected as rejected_table
from slamflow.tables import sources as sources_table
from slamflow.tables import speech as speech_table


def main() -> None:
    parser = commandline.parser(__doc__, "sources", "speech", "rejected")
    parser.add_argument("--shard", type=int, required=True)
    args = parser.parse_args()
    with logs.capture(args.log):
        module = "parquet" if args.config["kind"] == "parquet" else "audio"
        engine = importlib.import_module(f"slamflow.corpora.recorded.{module}")
        sources = files.read_table(args.sources, sources_table.SCHEMA)
        data_root = Path(args.machine["data_root"])
        label = f"cut_audio {args.speech.parent.name}, shard {args.shard}"
        speech, rejected = engine.cut(args.config, sources, args.shard, data_root, label)
        speech, rejected = rejections.complete(speech, rejected)
        files.write_table(rejected, args.rejected, rejected_table.SCHEMA)
        at_most = args.machine["rejected_at_most"]
        rejections.check(len(speech), rejected, at_most, args.speech, args.log, cut=speech)
        files.write_table(speech, args.speech, speech_table.SCHEMA)


if __name__ == "__main__":
    main()
