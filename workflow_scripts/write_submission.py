"""Write a model's scores as a submission to ZeroSpeech 2021."""

from slamflow import commandline, logs
from slamflow.benchmarks import submission


def main() -> None:
    args = commandline.parser(__doc__, "scores", "submission").parse_args()
    with logs.capture(args.log):
        submission.write(args.config, args.scores, args.submission)


if __name__ == "__main__":
    main()
