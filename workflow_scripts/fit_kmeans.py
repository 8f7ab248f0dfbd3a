"""Fit the codebook of a tokeniser."""

from slamflow import commandline, logs
from slamflow.tokeniser import hubert_places, kmeans


def main() -> None:
    args = commandline.parser(__doc__, "codebook", several=("speech", "hubert")).parse_args()
    with logs.capture(args.log):
        hubert = hubert_places.given(args.hubert, args.config, args.machine)
        label = f"fit_kmeans {args.codebook.parent.name}"
        kmeans.fit(args.config, hubert, args.speech, args.codebook, args.machine, label)


if __name__ == "__main__":
    main()
