"""Convert a codebook that others fitted."""

from pathlib import Path

from slamflow import commandline, logs
from slamflow.tokeniser import codebook_joblib, hubert_places


def main() -> None:
    args = commandline.parser(__doc__, "codebook", several=("hubert",)).parse_args()
    with logs.capture(args.log):
        hubert = hubert_places.given(args.hubert, args.config, args.machine)
        source = Path(args.machine.get("data_root", ""), args.config["file"])
        codebook_joblib.convert(args.config, source, hubert, args.codebook)


if __name__ == "__main__":
    main()
