"""Compare the arms of a question of a study, over seeds and items."""

from slamflow import commandline, logs
from slamflow.report import study


def main() -> None:
    parser = commandline.parser(__doc__, "answer", several=("scores", "trainings"))
    args = parser.parse_args()
    with logs.capture(args.log):
        # scores/{model}/{benchmark}.parquet and models/{model}/training.parquet
        scores = {(path.parent.name, path.stem): path for path in args.scores}
        trainings = {path.parent.name: path for path in args.trainings}
        logs.say(study.answer(args.config, scores, trainings, args.answer))


if __name__ == "__main__":
    main()
