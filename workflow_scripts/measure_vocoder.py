"""Compare the units of a resynthesis with those it was made from."""

from slamflow import commandline, logs
from slamflow.vocoder import error_rate


def main() -> None:
    parser = commandline.parser(__doc__, "reference", "resynthesis", "measured")
    args = parser.parse_args()
    with logs.capture(args.log):
        error_rate.measure(args.reference, args.resynthesis, args.measured)


if __name__ == "__main__":
    main()
