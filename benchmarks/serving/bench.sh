#!/usr/bin/env bash
# Generate a project from this checkout, package a release, and measure its service beside the others.
set -euo pipefail
cd "$(dirname "$0")/../.."
project=benchmarks/serving/.work/project
rm -rf "$project"
.venv/bin/scaffold new "$project" --defaults --yes
unset VIRTUAL_ENV # The project has an environment of its own.
make -C "$project" setup package
export PATH="$PWD/$project/.venv/bin:$PWD/.venv/bin:$PATH" # k6 from the first, uv from the second
exec "$project/.venv/bin/python" benchmarks/serving/run.py --project "$project" "$@"
