"""Convert a released Code-HiFi-GAN; nothing in its files is run."""

from slamflow import commandline, logs
from slamflow.vocoder import released


def main() -> None:
    parser = commandline.parser(__doc__, "weights", "settings", "model")
    args = parser.parse_args()
    with logs.capture(args.log):
        released.convert(args.config, args.weights, args.settings, args.model.parent)


if __name__ == "__main__":
    main()
