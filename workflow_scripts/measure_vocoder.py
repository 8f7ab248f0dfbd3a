"""Measure how well a vocoder is understood."""

from slamflow import commandline, logs
from slamflow.generation import vocoder_quality
from slamflow.tokeniser import hubert_places


def main() -> None:
    several = ("speech", "units", "text", "hubert")
    parser = commandline.parser(__doc__, "vocoder", "codebook", "quality", several=several)
    args = parser.parse_args()
    with logs.capture(args.log):
        vocoder_quality.measure(
            args.config,
            args.speech,
            args.units,
            args.text,
            args.vocoder.parent,
            args.codebook,
            hubert_places.given(args.hubert, args.config, args.machine),
            args.quality,
            args.machine,
            f"measure_vocoder {args.quality.parent.name}",
        )


if __name__ == "__main__":
    main()
