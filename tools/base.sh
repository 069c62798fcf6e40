#!/usr/bin/env bash
# base.sh IMAGE: import this machine's own system release, with Python, as a base image. So the tests build and run
# images where no registry of images can be reached; what fetches packages here fetches them there.
set -euo pipefail
image=$1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
. /etc/os-release
mirror=$(sed -n '/^URIs:/{s/^URIs: *\([^ ]*\).*/\1/p;q}' /etc/apt/sources.list.d/*.sources)
debootstrap --variant=minbase --include=ca-certificates,python3-venv "$VERSION_CODENAME" "$root" "$mirror" >/dev/null
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp -r /etc/apt/sources.list.d /etc/apt/apt.conf.d "$root/etc/apt/"
[ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/"
[ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$root/etc/"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar --directory "$root" --create . |
  podman import --quiet --change ENV=PIP_CERT=/etc/ssl/certs/ca-certificates.crt --change ENV=LANG=C.UTF-8 - "$image"
