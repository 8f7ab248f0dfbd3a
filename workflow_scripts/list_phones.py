"""List the phones of a corpus: the units of a topline."""

from slamflow import commandline, files, logs
from slamflow.tokeniser import phone_units


def main() -> None:
    args = commandline.parser(__doc__, "phones", several=("speech",)).parse_args()
    with logs.capture(args.log):
        files.write_json(phone_units.list_phones(args.speech), args.phones, sealed=True)


if __name__ == "__main__":
    main()
