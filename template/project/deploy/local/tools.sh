#!/usr/bin/env bash
# Installs what the local stack needs and pip cannot: HAProxy, Prometheus, Alertmanager. Quiet when
# all is there. Debian starts a packaged server at once and at every boot; `make up` starts its own,
# with the files under ops/derived, so the packaged ones are neither started nor enabled.
set -euo pipefail
PATH=$PATH:/usr/sbin

missing=()
command -v haproxy >/dev/null || missing+=(haproxy)
command -v promtool >/dev/null || missing+=(prometheus)
command -v prometheus-alertmanager alertmanager >/dev/null || missing+=(prometheus-alertmanager)
[ ${#missing[@]} -gt 0 ] || exit 0

root=()
[ "$(id -u)" -eq 0 ] || root=(sudo)
if ! command -v apt-get >/dev/null || ! "${root[@]}" true; then
  echo "tools: please install ${missing[*]}: without them \`make up\` does not run"
  exit 0
fi

echo "tools: installing ${missing[*]}"
policy=/usr/sbin/policy-rc.d # while it says 101, no packaged service is started
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
  "${root[@]}" chmod 755 $policy
  trap '"${root[@]}" rm -f $policy' EXIT
fi
"${root[@]}" apt-get -qq update
"${root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get -qq install --no-install-recommends "${missing[@]}" >/dev/null
if command -v systemctl >/dev/null; then
  "${root[@]}" systemctl --quiet disable "${missing[@]}" 2>/dev/null || true
fi
