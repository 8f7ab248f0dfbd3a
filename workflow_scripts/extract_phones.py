"""Turn the known phones of a shard of speech into units."""

from slamflow import commandline, logs
from slamflow.tokeniser import phone_units


def main() -> None:
    args = commandline.parser(__doc__, "speech", "phones", "units").parse_args()
    with logs.capture(args.log):
        phone_units.extract(args.phones, args.speech, args.units)


if __name__ == "__main__":
    main()
