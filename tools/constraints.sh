#!/usr/bin/env bash
# Pin what the emitted repo needs, for all answers in one file: template/project/constraints.txt.
# Pins that still fit stay as they are; an argument, e.g. `--upgrade-package polars`, goes to uv.
set -euo pipefail
cd "$(dirname "$0")/../template/project"
uv=uv
command -v uv >/dev/null || uv=../../.venv/bin/uv

trap 'rm -f requirements-all.txt' EXIT
# Every library that an answer brings in stands in quotes on a line of Jinja, and Evidently breaks with newer pandas.
for file in requirements-serve.txt.jinja requirements-dev.txt.jinja; do
  sed '/^{{/d' "$file"
  grep '^{{' "$file" | grep -oE "'[^']+\\\\n'" | sed "s/'//g; s/\\\\n/\n/g"
  grep '^{{' "$file" | sed 's/.*}}//'
done >requirements-all.txt
echo 'pandas<3.1' >>requirements-all.txt

head=$(head -n 1 constraints.txt)
"$uv" pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
  --no-emit-index-url --no-emit-find-links "$@" \
  requirements-all.txt --output-file constraints.txt
sed -i "1i $head" constraints.txt
