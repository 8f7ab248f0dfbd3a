"""Convert a released Code-HiFi-GAN; nothing in its files is run."""

from pathlib import Path

from slamflow import commandline, logs
from slamflow.vocoder import released


def main() -> None:
    args = commandline.parser(__doc__, "model").parse_args()
    with logs.capture(args.log):
        root = args.machine.get("data_root", "")
        weights, settings = (Path(root, args.config[name]) for name in ("weights", "settings"))
        released.convert(args.config, weights, settings, args.model.parent)


if __name__ == "__main__":
    main()
