"""Convert a model of units that others published."""

from slamflow import commandline, logs, pretrained
from slamflow.lm import initial, published
from slamflow.tokeniser import codebook


def main() -> None:
    parser = commandline.parser(__doc__, "codebook", "model")
    parser.add_argument("--code", required=True, help="digest of the code")
    args = parser.parse_args()
    with logs.capture(args.log):
        source = pretrained.fetch(args.config, args.machine, initial.FILES)
        units = codebook.size(args.codebook)
        published.convert(args.config, source, units, args.model.parent, args.code)


if __name__ == "__main__":
    main()
