"""Find the words, and the phones where the engine knows them, of a shard of recorded speech."""

from slamflow import commandline, logs
from slamflow.alignment import aligning


def main() -> None:
    args = commandline.parser(__doc__, "speech", "alignments").parse_args()
    with logs.capture(args.log):
        label = f"align_speech {args.alignments.parent.name}/{args.alignments.stem}"
        aligning.align(args.config, args.speech, args.alignments, args.machine, label, args.log)


if __name__ == "__main__":
    main()
