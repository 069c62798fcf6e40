#!/usr/bin/env bash
# Install what tests start or ask and pip cannot: PostgreSQL, Redis, OpenSSH, what reads the stack's configuration, what
# builds and runs images; and Azurite into .venv.
# Quiet when they are there.
set -euo pipefail
cd "$(dirname "$0")/.."

# Debian starts a packaged server at once and at every boot; the tests start their own, on free ports.
install() {
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
    for package in "${missing[@]}"; do
      "${root[@]}" systemctl --quiet disable "${package/openssh-server/ssh}" 2>/dev/null || true # npm has no service
    done
  fi
}

missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
[ -x /usr/sbin/sshd ] || command -v sshd >/dev/null || missing+=(openssh-server)
PATH=$PATH:/usr/sbin
command -v haproxy >/dev/null || missing+=(haproxy)
command -v promtool >/dev/null || missing+=(prometheus)
command -v amtool >/dev/null || missing+=(prometheus-alertmanager)
# To build and run images: bridges and their names, and what holds a pod together.
for tool in buildah podman runc debootstrap catatonit iptables; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
[ -e /usr/lib/podman/netavark ] || missing+=(netavark aardvark-dns)
command -v npm >/dev/null || missing+=(npm)
[ ${#missing[@]} -eq 0 ] || install
[ -x .venv/bin/azurite-blob ] ||
  npm install --global --prefix .venv --no-fund --no-audit --loglevel error azurite@3.35.0 >/dev/null
