#!/bin/bash
# tag.sh NAME [STAGE]: write into git, in the tags of GTO, that a release exists, and the stage that it enters:
# name@v1.3.0 (contract version 1, third release) and name#stage#4, both with the release's id as their message.
set -u
name=$1 stage=${2-}
git rev-parse --quiet --verify HEAD >/dev/null 2>&1 || exit 0 # no commit yet
if ! git var GIT_COMMITTER_IDENT >/dev/null 2>&1; then
  echo "registry: git does not know who you are, so no tag was made (git config user.name, user.email)"
  exit 0
fi
tags() { git tag --list --sort=version:refname --format='%(refname:short) %(contents:subject)' "$name$1*"; }
release=$(sed -n 's/.*"release": "\(.*\)".*/\1/p' reports/package.json)
[ -z "$stage" ] || release=$(grep -E '"event": "(deployed|promoted|roll(ing|ed) back)"' releases/ledger.jsonl | tail -1 |
  sed 's/.*"release": "\([^"]*\)".*/\1/')
version=$(tags @ | sed -n "s/ $release\$//p")
if [ -z "$version" ]; then
  number=$(sed -n 's/^version: *\([0-9]*\).*/\1/p' "releases/$release/bento/src/contract.yaml")
  version="$name@v$number.$(($(tags @ | wc -l) + 1)).0"
  # A commit of its own, beside the branch: GTO knows one version for each commit.
  git tag --annotate --message "$release" "$version" "$(git commit-tree 'HEAD^{tree}' -p HEAD -m "Release $release")"
fi
[ -z "$stage" ] || tags "#$stage#" | tail -1 | grep -q " $release\$" ||
  git tag --annotate --message "$release" "$name#$stage#$(($(tags '#' | wc -l) + 1))" "$version^{commit}"
