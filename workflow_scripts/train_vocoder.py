"""Train a vocoder on speech and its units; DeepSpeed launches its ranks."""

from pathlib import Path

from slamflow import commandline, logs
from slamflow.runstate import RunState
from slamflow.vocoder import training


def main() -> None:
    parser = commandline.parser(
        __doc__, "codebook", "model", "state", several=("units", "speech", "pace")
    )
    parser.add_argument("--code", required=True, help="digest of the code")
    args = parser.parse_args()
    folder: Path = args.model.parent
    inputs = [*args.units, *args.speech, *args.pace, args.codebook]
    label = f"train_vocoder {folder.name}"
    with logs.capture(args.log), RunState(args.state, args.config, inputs, args.code) as state:
        training.train(
            args.config,
            args.units,
            args.speech,
            args.codebook,
            folder,
            state,
            args.machine,
            label,
            args.pace,
        )


if __name__ == "__main__":
    main()
