"""Speak a corpus from its own units."""

from slamflow import commandline, logs
from slamflow.vocoder import vocoding


def main() -> None:
    args = commandline.parser(
        __doc__, "vocoder", "codebook", "speech", several=("units",)
    ).parse_args()
    with logs.capture(args.log):
        label = f"resynthesise_speech {args.speech.parent.name}/{args.speech.stem}"
        folder = args.vocoder.parent
        vocoding.vocode_table(
            args.config, folder, args.codebook, args.units, args.speech, args.machine, label
        )


if __name__ == "__main__":
    main()
