"""Turn the texts of a shard of speech into units."""

from slamflow import commandline, logs
from slamflow.tokeniser import bpe


def main() -> None:
    args = commandline.parser(__doc__, "speech", "tokenizer", "units").parse_args()
    with logs.capture(args.log):
        bpe.extract(args.tokenizer, args.speech, args.units)


if __name__ == "__main__":
    main()
