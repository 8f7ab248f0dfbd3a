"""Align a model by direct preference optimisation; DeepSpeed launches its ranks."""

from pathlib import Path

from slamflow import commandline, logs
from slamflow.preference import dpo
from slamflow.runstate import RunState


def main() -> None:
    parser = commandline.parser(__doc__, "base", "pairs", "references", "model", "state")
    parser.add_argument("--code", required=True, help="digest of the code")
    args = parser.parse_args()
    folder: Path = args.model.parent
    inputs = [args.base, args.pairs, args.references]
    with logs.capture(args.log), RunState(args.state, args.config, inputs, args.code) as state:
        dpo.align(
            args.config,
            args.base.parent,
            args.pairs,
            args.references,
            folder,
            state,
            args.machine,
            f"align_model {folder.name}",
        )


if __name__ == "__main__":
    main()
