"""Turn a shard of speech into units without repeats."""

from slamflow import commandline, logs
from slamflow.tokeniser import hubert_places, units


def main() -> None:
    parser = commandline.parser(__doc__, "speech", "codebook", "units", several=("hubert",))
    args = parser.parse_args()
    with logs.capture(args.log):
        hubert = hubert_places.given(args.hubert, args.config, args.machine)
        label = f"extract_units {args.units.parent.name}/{args.units.stem}"
        units.extract(
            args.config, args.codebook, hubert, args.speech, args.units, args.machine, label
        )


if __name__ == "__main__":
    main()
