"""Cut one shard of recordings into utterances."""

from pathlib import Path

from slamflow import commandline, files, logs
from slamflow.corpora.recorded import audio as recordings
from slamflow.tables import rejected as rejected_table
from slamflow.tables import sources as sources_table
from slamflow.tables import speech as speech_table


def main() -> None:
    parser = commandline.parser(__doc__, "sources", "speech", "rejected")
    parser.add_argument("--shard", type=int, required=True)
    args = parser.parse_args()
    with logs.capture(args.log):
        sources = files.read_table(args.sources, sources_table.SCHEMA)
        data_root = Path(args.machine["data_root"])
        speech, rejected = recordings.cut_audio(args.config, sources, args.shard, data_root)
        logs.info(f"{len(speech)} utterances, {len(rejected)} rejected")
        files.write_table(rejected, args.rejected, rejected_table.SCHEMA)
        files.write_table(speech, args.speech, speech_table.SCHEMA)


if __name__ == "__main__":
    main()
