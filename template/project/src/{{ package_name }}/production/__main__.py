"""The verbs of this repo: `python -m <package>.production VERB`; the Makefile calls them."""

import argparse
import datetime
import importlib
import sys

from .config import Problem

ALONE = ["contract", "ingest", "validate", "evaluate", "package", "plan", "monitor", "retrain", "card"]
ALONE += ["budget", "capacity", "watch", "certify", "score", "staleness", "search"]
# The module of each verb: it is imported when called, so that `plan` runs where little is installed.
VERBS = {verb: verb for verb in ALONE} | {
    **dict.fromkeys(("featurize", "train"), "stages"),
    **dict.fromkeys(("down", "status"), "stack"),
    **dict.fromkeys(("up", "promote", "rollback"), "release"),
    **dict.fromkeys(("push", "pull", "gc"), "remote"),
    **dict.fromkeys(("again", "replay"), "score"),
    **{"contract-diff": "contract", "why": "plan", "rehearse": "rehearse.run", "compare": "retrain"},
}
WORDS = {"why": ["what", "--json"], "score": ["rows", "scored"], "again": ["rows"], "replay": ["id"]}
WORDS |= {"contract": ["--json"], "plan": ["--check", "--json"], "card": ["--check"], "watch": ["--report"]}


def main() -> int:
    parser = argparse.ArgumentParser(prog=__package__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    known = {verb: verbs.add_parser(verb) for verb in VERBS}
    for verb, words in WORDS.items():
        for word in words:
            known[verb].add_argument(word, action="store_true" if word.startswith("-") else "store")
    for verb in ("push", "pull", "gc"):
        known[verb].add_argument("--keep", type=int, default=3)
    known["ingest"].add_argument("--source")
    known["retrain"].add_argument("--until", type=datetime.datetime.fromisoformat)
    known["budget"].add_argument("--acknowledge", default="")
    known["promote"].add_argument("release", nargs="?")
    known["monitor"].add_argument("--watch-minutes", type=float, required=True)
    known["monitor"].add_argument("--host", default="127.0.0.1")
    known["rehearse"].add_argument("--only", default="")
    options = vars(parser.parse_args())
    verb = options.pop("verb")
    try:
        done = getattr(importlib.import_module(f".{VERBS[verb]}", __package__), verb.replace("-", "_"))(**options)
        return done if isinstance(done, int) else 0
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 130


if __name__ == "__main__":
    sys.exit(main())
