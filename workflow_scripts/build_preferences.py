"""Join prompts with their better and worse answers."""

from slamflow import commandline, logs
from slamflow.preference import pairs


def main() -> None:
    args = commandline.parser(__doc__, "pairs", several=("units",)).parse_args()
    with logs.capture(args.log):
        logs.info(pairs.build(args.config, args.units, args.pairs))


if __name__ == "__main__":
    main()
