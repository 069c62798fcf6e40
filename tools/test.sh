#!/usr/bin/env bash
# Run every test: the fast ones on two cores; then those that start the stack one by one, and the other slow ones
# beside them, on what those leave of the machine. Options are pytest's.
set -euo pipefail
cd "$(dirname "$0")/.."
pytest=(.venv/bin/python -m pytest "$@")
"${pytest[@]}" -m "not slow" -n 2 --dist loadfile
log=$(mktemp) quick=$(mktemp -d)
# Projects are set up by uv in seconds, but for that of text.
ln -s "$(command -v uv || echo "$PWD/.venv/bin/uv")" "$quick/uv"
export PATH=$quick:$PATH
nice -n 19 "${pytest[@]}" -m "slow and not stack and not presets" -n 2 --dist worksteal --durations 10 >"$log" 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null || true; rm -rf "$log" "$quick"' EXIT
status=0
"${pytest[@]}" -m stack --durations 10 || status=1
wait "$beside" || status=1
cat "$log"
exit "$status"
