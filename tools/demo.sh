#!/usr/bin/env bash
# Generate a project from this checkout, uncommitted changes included, and rehearse it.
# An earlier one is reused when it is from this very version; else it is set aside, never deleted.
set -euo pipefail
cd "$(dirname "$0")/.."
demo=${1:-demo}

version() {
  if [ -z "$(git status --porcelain)" ]; then git describe --tags --always; fi
}

recorded() { sed -n 's/^_commit: //p' "$demo/.copier-answers.yml" 2>/dev/null | tr -d "'\""; }

missing() {
  local tool
  for tool in haproxy prometheus alertmanager; do
    command -v "$tool" >/dev/null || command -v "prometheus-$tool" >/dev/null || echo "$tool"
  done
}

lacks=$(missing | tr '\n' ' ')
if [ -n "$lacks" ] && ! command -v apt-get >/dev/null; then
  echo "demo: no apt here; install ${lacks% } yourself, and try again" >&2
  exit 1
fi

now=$(version)
if [ -e "$demo" ] && [ -n "$now" ] && [ "$now" = "$(recorded)" ]; then
  echo "demo: ./$demo is from this version: used as it is"
else
  if [ -e "$demo" ]; then
    aside="$demo-$(date +%Y%m%d-%H%M%S)"
    mv "$demo" "$aside"
    echo "demo: ./$demo was from another version: it is ./$aside now (delete it when you like)"
  fi
  .venv/bin/scaffold new "$demo" --defaults --yes
fi
unset VIRTUAL_ENV # The project has an environment of its own.
exec make -C "$demo" setup rehearse
