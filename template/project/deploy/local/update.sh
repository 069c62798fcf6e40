#!/bin/bash
# Bring what is ours to the newest version of the template, staged and not committed; what it did: reports/update.md.
# The repository of the template brings the command `scaffold`, which changes nothing where both sides changed a line
# (exit 2). One that brings none is updated by Copier alone: there, its markers end this with 2.
set -euo pipefail
source=$(sed -n 's/^_src_path: *//p' .copier-answers.yml)
case $source in
  *://* | *@*:*) url=${source#git+} ;;
  gh:*) url=https://github.com/${source#gh:} ;;
  gl:*) url=https://gitlab.com/${source#gl:} ;;
  *) url=file://$(realpath -m "$source") ;;
esac
if [ "${url#file://}" != "$url" ] && [ ! -e "${url#file://}" ]; then
  echo "${CI+::notice::}update: .copier-answers.yml: _src_path $source is not on this machine; write the template's URL there"
  [ "${CI-}" ] || exit 1
  exit 0
fi
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
mkdir -p reports
python3 -m venv "$tools"
pip=("$tools/bin/pip")
if command -v uv >/dev/null; then
  pip=(env VIRTUAL_ENV="$tools" uv pip)
fi
if "${pip[@]}" install --quiet "git+$url" 2>/dev/null && [ -x "$tools/bin/scaffold" ]; then
  "$tools/bin/scaffold" update --yes | tee reports/update.md
else
  "${pip[@]}" install --quiet 'copier>=9.18,<10'
  "$tools/bin/copier" update --quiet --defaults
  git add --all
  if git grep --cached --line-number -E '^(<{7}|>{7}) '; then
    echo "update: both sides changed these lines; resolve them, or take all back: git reset --hard"
    exit 2
  fi
  echo "From $source, by Copier." | tee reports/update.md
fi
