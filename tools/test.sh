#!/usr/bin/env bash
# Run every test: one by one those that start the stack; beside them all others, the fast ones first, on what those
# leave of the machine: three at a time, as they wait as well. Options are pytest's.
set -euo pipefail
cd "$(dirname "$0")/.."
pytest=(.venv/bin/python -m pytest "$@" --durations 10)
log=$(mktemp) quick=$(mktemp -d)
# Projects are set up by uv in seconds, but for the stack's.
ln -s "$(command -v uv || echo "$PWD/.venv/bin/uv")" "$quick/uv"

others() {
  local status=0
  renice -n 19 "$BASHPID" >/dev/null
  "${pytest[@]}" -m "not slow" -n 3 --dist loadfile || status=1
  PATH=$quick:$PATH "${pytest[@]}" -m "slow and not stack" -n 3 --dist worksteal || status=1
  return "$status"
}

set -o monitor # a group of its own, to be ended as one
others >"$log" 2>&1 &
beside=$!
set +o monitor
trap 'exit 130' INT
trap 'kill -- "-$beside" 2>/dev/null || true; rm -rf "$log" "$quick"' EXIT
status=0
"${pytest[@]}" -m stack || status=1
wait "$beside" || status=1
cat "$log"
exit "$status"
