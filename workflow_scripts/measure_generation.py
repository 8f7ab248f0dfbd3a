"""Measure transcripts of spoken continuations: GenPPL, auto-BLEU, empty ones, a judge's scores."""

from slamflow import commandline, logs
from slamflow.generation import measuring


def main() -> None:
    parser = commandline.parser(
        __doc__,
        *("transcripts", "measures"),
        several=("model", "tokenizer", "judgements"),  # at most one each
    )
    args = parser.parse_args()
    with logs.capture(args.log):
        output = args.measures
        label = f"measure_generation {output.parent.name} {output.stem}"
        model, tokenizer, judgements = (
            next(iter(found), None) for found in (args.model, args.tokenizer, args.judgements)
        )
        measuring.measure(
            args.config,
            args.transcripts,
            output,
            args.machine,
            model.parent if model and tokenizer else None,
            tokenizer,
            judgements,
            label,
        )


if __name__ == "__main__":
    main()
