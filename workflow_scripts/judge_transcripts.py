"""Ask a language model behind an API how well transcripts make sense."""

from slamflow import commandline, logs
from slamflow.generation import judging
from slamflow.runstate import RunState


def main() -> None:
    parser = commandline.parser(__doc__, "transcripts", "judgements", "state")
    parser.add_argument("--code", required=True, help="digest of the code")
    args = parser.parse_args()
    transcripts, output = args.transcripts, args.judgements
    label = f"judge_transcripts {output.parent.name} {output.stem}"
    with logs.capture(args.log), RunState(args.state, args.config, [transcripts], args.code):
        judging.judge(args.config, transcripts, output, args.state, args.machine, label)


if __name__ == "__main__":
    main()
