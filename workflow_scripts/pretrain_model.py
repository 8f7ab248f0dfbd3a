"""Train a language model of units; DeepSpeed launches its ranks."""

from pathlib import Path

from slamflow import commandline, logs
from slamflow.lm import initial, pretraining
from slamflow.runstate import RunState


def main() -> None:
    parser = commandline.parser(__doc__, "packed", "model", "state", several=("initial",))
    parser.add_argument("--code", required=True, help="digest of the code")
    args = parser.parse_args()
    folder: Path = args.model.parent
    label = f"pretrain_model {folder.name}"
    with (
        logs.capture(args.log),
        RunState(args.state, args.config, [args.packed, *args.initial], args.code) as state,
    ):
        start = initial.given(args.initial, args.config, args.machine)
        pretraining.pretrain(args.config, args.packed, folder, state, args.machine, label, start)


if __name__ == "__main__":
    main()
