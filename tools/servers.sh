#!/usr/bin/env bash
# Install what tests/test_sources.py starts itself: PostgreSQL and Redis. Quiet when they are there.
# Debian starts a packaged server at once and at every boot; the tests start their own, on free ports.
set -euo pipefail

missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -gt 0 ] || exit 0

root=()
[ "$(id -u)" -eq 0 ] || root=(sudo)
if ! command -v apt-get >/dev/null || ! "${root[@]}" true; then
  echo "servers: please install ${missing[*]}: without them the tests of the sources do not run" >&2
  exit 1
fi

echo "servers: installing ${missing[*]}"
policy=/usr/sbin/policy-rc.d # while it says 101, no packaged service is started
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
  "${root[@]}" chmod 755 $policy
  trap '"${root[@]}" rm -f $policy' EXIT
fi
"${root[@]}" apt-get -qq update
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${missing[@]}" >/dev/null
if command -v systemctl >/dev/null; then
  "${root[@]}" systemctl --quiet disable "${missing[@]}" 2>/dev/null || true
fi
