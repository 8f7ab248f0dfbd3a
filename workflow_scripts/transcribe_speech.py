"""Write down what is heard in spoken continuations."""

from slamflow import commandline, logs
from slamflow.generation import transcribing


def main() -> None:
    paths = ("voices", "transcripts")
    args = commandline.parser(__doc__, *paths, several=("texts",)).parse_args()
    with logs.capture(args.log):
        output = args.transcripts
        label = f"transcribe_speech {output.parent.name} {output.stem}"
        transcribing.transcribe(args.config, args.voices, args.texts, output, args.machine, label)


if __name__ == "__main__":
    main()
