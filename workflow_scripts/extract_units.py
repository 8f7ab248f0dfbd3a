"""Turn a shard of speech into units without repeats."""

from slamflow import commandline, logs
from slamflow.tokeniser import units


def main() -> None:
    parser = commandline.parser(__doc__, "speech", "codebook", "units", several=("hubert",))
    args = parser.parse_args()
    with logs.capture(args.log):
        hubert = args.hubert[0] if args.hubert else None
        units.extract(args.config, args.codebook, hubert, args.speech, args.units, args.machine)


if __name__ == "__main__":
    main()
