"""Let a language model continue the beginnings of a benchmark's utterances."""

from slamflow import commandline, logs
from slamflow.lm import continuing


def main() -> None:
    paths = ("model", "tokeniser", "continuations")
    args = commandline.parser(__doc__, *paths, several=("units",)).parse_args()
    with logs.capture(args.log):
        model, output = args.model.parent, args.continuations
        label = f"continue_speech {model.name} {output.stem}"
        continuing.continue_speech(
            args.config, model, args.units, output, args.machine, label, args.tokeniser
        )


if __name__ == "__main__":
    main()
