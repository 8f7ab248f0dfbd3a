"""Learn a byte-level BPE from the texts of corpora: the units of a language model of text."""

from slamflow import commandline, logs
from slamflow.tokeniser import bpe


def main() -> None:
    args = commandline.parser(__doc__, "tokenizer", several=("speech",)).parse_args()
    with logs.capture(args.log):
        made = bpe.train(args.config, args.speech, args.tokenizer, args.machine)
        logs.say(f"train_bpe {args.tokenizer.parent.name}: {made}")


if __name__ == "__main__":
    main()
