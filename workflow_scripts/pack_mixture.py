"""Pack the documents of a mixture into full training rows."""

from slamflow import commandline, logs
from slamflow.lm import packing
from slamflow.tokeniser import codebook


def main() -> None:
    args = commandline.parser(__doc__, "codebook", "packed", several=("units",)).parse_args()
    with logs.capture(args.log):
        vocabulary = codebook.size(args.codebook) + 2  # PAD and <S>
        made = packing.pack(args.config, args.units, vocabulary, args.packed)
        logs.say(f"pack_mixture {args.packed.stem}: {made}")


if __name__ == "__main__":
    main()
