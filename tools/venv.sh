#!/usr/bin/env bash
# Make .venv and install this project into it, from nothing but Python >= 3.11 (and apt, if need be).
set -euo pipefail
cd "$(dirname "$0")/.."

stop() {
  echo "setup: $*" >&2
  exit 1
}

modern() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

pick_python() {
  local name
  for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
    if modern "$name"; then
      echo "$name"
      return
    fi
  done
  stop "found no Python >= 3.11; install one, or name it: make PYTHON=/path/to/python3.12 ..."
}

apt_install() {
  command -v apt-get >/dev/null || return 1
  local root=()
  if [ "$(id -u)" != 0 ]; then root=(sudo); fi
  echo "setup: installing $* with apt"
  "${root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq "$@" >/dev/null
}

make_venv() {
  local python=$1
  if command -v uv >/dev/null; then
    uv venv --quiet --allow-existing --python "$python" .venv
    return
  fi
  "$python" -m venv .venv >/dev/null 2>&1 && return
  rm -rf .venv # Debian and Ubuntu ship Python without venv.
  apt_install python3-venv || stop "Python has no venv; install it (python3-venv) and try again"
  "$python" -m venv .venv || stop "$python cannot make a venv; install the venv of that Python"
}

install_project() {
  local uv=.venv/bin/uv
  if command -v uv >/dev/null; then uv=uv; else .venv/bin/python -m pip install --quiet uv || true; fi
  # uv is faster, and knows its own certificates only: pip is the way out.
  "$uv" pip install --quiet --python .venv/bin/python --editable '.[dev]' ||
    .venv/bin/python -m pip install --quiet --editable '.[dev]'
}

command -v git >/dev/null || apt_install git || stop "git is missing; install it"
test -x .venv/bin/python || make_venv "$(pick_python)"
echo "setup: installing into .venv"
install_project
