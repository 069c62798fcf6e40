#!/usr/bin/env bash
# Run every test: the fast ones on two cores; then the public data sets, beside all that needs the stack's own ports.
# Options are pytest's.
set -euo pipefail
cd "$(dirname "$0")/.."
pytest=(.venv/bin/python -m pytest "$@")
"${pytest[@]}" -m "not slow" -n 2 --dist loadfile
log=$(mktemp)
nice "${pytest[@]}" -m slow tests/test_public_data.py >"$log" 2>&1 &
public=$!
trap 'kill "$public" 2>/dev/null || true; rm -f "$log"' EXIT
status=0
"${pytest[@]}" -m slow --durations 10 --ignore tests/test_public_data.py || status=1
wait "$public" || status=1
cat "$log"
exit "$status"
