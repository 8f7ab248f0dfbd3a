"""Train a HuBERT to predict the units of masked frames; DeepSpeed launches its ranks."""

from pathlib import Path

from slamflow import commandline, logs
from slamflow.runstate import RunState
from slamflow.tokeniser import hubert_places, hubert_training


def main() -> None:
    several = ("speech", "hubert", "initial")
    parser = commandline.parser(__doc__, "model", "state", "codebook", several=several)
    parser.add_argument("--code", required=True, help="digest of the code")
    args = parser.parse_args()
    folder: Path = args.model.parent
    initial = args.initial[0] if args.initial else None
    inputs = [*args.speech, args.codebook, *args.hubert, *args.initial]
    label = f"train_hubert {folder.name}"
    with (
        logs.capture(args.log),
        RunState(args.state, args.config, inputs, args.code) as state,
    ):
        hubert = hubert_places.given(args.hubert, args.config, args.machine)
        hubert_training.train(
            args.config,
            args.speech,
            args.codebook,
            hubert,
            folder,
            state,
            args.machine,
            label,
            initial,
        )


if __name__ == "__main__":
    main()
