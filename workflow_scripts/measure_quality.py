"""Compare units with the true phones, beside MFCC k-means."""

from slamflow import commandline, logs
from slamflow.report import quality_picture
from slamflow.tokeniser import hubert_places, quality


def main() -> None:
    several = ("speech", "alignments", "hubert", "fitted")
    parser = commandline.parser(__doc__, "codebook", "quality", "picture", several=several)
    args = parser.parse_args()
    with logs.capture(args.log):
        hubert = hubert_places.given(args.hubert, args.config, args.machine)
        label = f"measure_quality {args.quality.parent.name}"
        joint = quality.measure(
            args.config,
            args.codebook,
            hubert,
            args.speech,
            args.quality,
            args.machine,
            label,
            args.alignments,
            args.fitted,
        )
        quality_picture.draw(args.quality, joint, args.picture)


if __name__ == "__main__":
    main()
