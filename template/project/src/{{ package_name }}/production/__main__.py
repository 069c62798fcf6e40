"""The verbs of this repo: `python -m <package>.production VERB`; the Makefile calls them."""

import argparse
import importlib
import sys

from .config import Problem

# verb: module, function, one line of help. Modules are imported when their verb is called.
VERBS = {
    "contract": ("contract", "contract", "propose the contract from the data"),
    "ingest": ("stages", "ingest", "read the source into data/raw.parquet"),
    "validate": ("validate", "validate", "hold the rows against contract.yaml"),
    "featurize": ("stages", "featurize", "make the features"),
    "train": ("stages", "train", "train the model"),
    "evaluate": ("evaluate", "evaluate", "judge the model: gates, intervals, value"),
    "package": ("package", "package", "make a release"),
    "plan": ("plan", "plan", "derive alerts, limits and load test from the promises"),
    "up": ("stack", "up", "start the production stack on this machine"),
    "down": ("stack", "down", "stop it"),
    "status": ("stack", "show", "what runs"),
    "monitor": ("monitor", "monitor", "receive alerts, show what watch found"),
    "load": ("load", "load", "measure the capacity of one replica"),
    "watch": ("watch", "watch", "drift, freshness, quality on late labels"),
    "promote": ("release", "promote", "let a release in, step by step"),
    "rollback": ("release", "rollback", "back to the release before"),
    "score": ("score", "score", "score a Parquet file in bulk"),
    "rehearse": ("rehearse.run", "rehearse", "break the running stack on purpose, and report"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog=__package__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, (_, _, text) in VERBS.items():
        verbs.add_parser(verb, help=text)
    for verb in ("ingest",):
        verbs.choices[verb].add_argument("--source")
    verbs.choices["plan"].add_argument("--check", action="store_true")
    verbs.choices["plan"].add_argument("--json", action="store_true")
    verbs.choices["promote"].add_argument("release", nargs="?")
    verbs.choices["watch"].add_argument("--report", action="store_true")
    verbs.choices["score"].add_argument("rows")
    verbs.choices["score"].add_argument("scored")
    verbs.choices["rehearse"].add_argument("--only", default="")
    options = vars(parser.parse_args())
    module, function, _ = VERBS[options.pop("verb")]
    try:
        done = getattr(importlib.import_module(f".{module}", __package__), function)(**options)
        return done if isinstance(done, int) else 0
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
