"""Convert a codebook that others fitted."""

from slamflow import commandline, logs
from slamflow.tokeniser import codebook_joblib


def main() -> None:
    args = commandline.parser(__doc__, "source", "hubert", "codebook").parse_args()
    with logs.capture(args.log):
        codebook_joblib.convert(args.config, args.source, args.hubert, args.codebook)


if __name__ == "__main__":
    main()
