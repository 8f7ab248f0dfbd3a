"""Ask a language model behind an API how well transcripts make sense."""

from slamflow import commandline, logs
from slamflow.generation import judging


def main() -> None:
    args = commandline.parser(__doc__, "transcripts", "judgements").parse_args()
    with logs.capture(args.log):
        output = args.judgements
        label = f"judge_transcripts {output.parent.name} {output.stem}"
        judging.judge(args.config, args.transcripts, output, args.machine, label)


if __name__ == "__main__":
    main()
