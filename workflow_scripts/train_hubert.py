"""Train a HuBERT on masked MFCC cluster targets; DeepSpeed launches its ranks."""

from pathlib import Path

from slamflow import commandline, logs
from slamflow.runstate import RunState
from slamflow.tokeniser import hubert_training


def main() -> None:
    parser = commandline.parser(__doc__, "model", "state", several=("speech",))
    parser.add_argument("--code", required=True, help="digest of the code")
    args = parser.parse_args()
    folder: Path = args.model.parent
    label = f"train_hubert {folder.name}"
    with (
        logs.capture(args.log),
        RunState(args.state, args.config, args.speech, args.code) as state,
    ):
        hubert_training.train(args.config, args.speech, folder, state, args.machine, label)


if __name__ == "__main__":
    main()
