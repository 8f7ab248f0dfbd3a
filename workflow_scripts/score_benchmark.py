"""Take a causal language model's likelihood of every item of a benchmark."""

from slamflow import commandline, logs
from slamflow.benchmarks import scoring


def main() -> None:
    several = ("units", "speech", "alignments")
    args = commandline.parser(__doc__, "model", "scores", several=several).parse_args()
    with logs.capture(args.log):
        model = args.model.parent
        label = f"score_benchmark {model.name} {args.scores.stem}"
        paths = (args.units, args.scores, args.machine, label, args.speech, args.alignments)
        scoring.score(args.config, model, *paths)


if __name__ == "__main__":
    main()
