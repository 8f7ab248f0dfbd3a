"""Speak one shard of a corpus's text."""

from slamflow import commandline, files, logs, rejections
from slamflow.synthesis import speaking
from slamflow.tables import rejected as rejected_table
from slamflow.tables import speech as speech_table


def main() -> None:
    parser = commandline.parser(__doc__, "text", "speech", "rejected")
    parser.add_argument("--shard", type=int, required=True)
    args = parser.parse_args()
    with logs.capture(args.log):
        label = f"synthesise_speech {args.speech.parent.name}/{args.speech.stem}"
        speech, rejected = speaking.speak_file(
            args.text, args.config, args.shard, args.machine, label
        )
        speech, rejected = rejections.complete(speech, rejected)
        files.write_table(rejected, args.rejected, rejected_table.SCHEMA)
        at_most = args.machine["rejected_at_most"]
        repair = "mend the texts or choose another voice"
        rejections.check(len(speech), rejected, at_most, args.speech, args.log, repair=repair)
        files.write_table(speech, args.speech, speech_table.SCHEMA)


if __name__ == "__main__":
    main()
