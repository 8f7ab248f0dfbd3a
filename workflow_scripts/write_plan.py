"""Say what a config will take before it runs: plan.tsv."""

import json

from slamflow import commandline, logs
from slamflow.report.plan import jobs, writing


def main() -> None:
    parser = commandline.parser(__doc__, "rates", "yields", "gpus", "plan")
    parser.add_argument("--given", type=json.loads, default={}, metavar="JSON")
    args = parser.parse_args()
    with logs.capture(args.log):
        # as if there were GPUs, so that jobs say how many they would ask for
        planned = jobs.jobs(args.config["plan"], {**args.given, "device": "cuda"})
        tables = {name: getattr(args, name) for name in ("rates", "yields", "gpus")}
        logs.say(writing.write(planned, args.config, tables, args.plan))


if __name__ == "__main__":
    main()
