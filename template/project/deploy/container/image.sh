#!/bin/bash
# image.sh NAME [RELEASE]: build the image of a release, NAME:RELEASE, and say how large it is.
# image.sh NAME jobs: build the image in which watch and retrain run, NAME-jobs:latest.
# BUILDER is the program that builds (docker, podman or buildah), BASE another base than python:3.11-slim.
set -euo pipefail
name=$1 release=${2:-$(sed -n 's/.*"release": "\(.*\)".*/\1/p' reports/package.json)}
builder=${BUILDER:-$(command -v docker || command -v podman || command -v buildah || true)}
[ "$builder" ] || { echo "image: found neither docker, podman nor buildah; install one" >&2; exit 1; }
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp constraints.txt "$context"

if [ "$release" = jobs ]; then
  file=jobs.Containerfile image=$name-jobs:latest
  cp requirements-serve.txt requirements-dev.txt "$context"
else
  file=Containerfile image=$name:$release bento=releases/$release/bento
  [ -d "$bento" ] || { echo "image: there is no $bento; \`make package\` makes one" >&2; exit 1; }
  cp -r "$bento" "$bento/src/requirements-serve.txt" "$context"
fi

read -ra options <<<"${BUILD_OPTIONS-}"
options+=(${BASE:+--build-arg "BASE=$BASE"} --label "release=$release" --tag "$image")
[[ $builder == *docker ]] || options+=(--format docker) # the other format knows no health check
"$builder" build "${options[@]}" --file "deploy/container/$file" "$context"
echo "image: $image, $("$builder" images --format '{{.Size}}' "$image" | head -n 1)"
