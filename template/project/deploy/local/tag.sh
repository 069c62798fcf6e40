#!/bin/bash
# tag.sh NAME [STAGE]: write into git, in the tags of GTO, that a release exists, and the stage that it enters:
# name@v1.3.0 (contract version 1, third release) and name#stage#4, both with the release's id as their message.
# Where git knows a key (user.signingKey) they are signed; the id is the digest of all that the release holds.
# tag.sh NAME check [RELEASE]: refuse a release of which nobody in ops/allowed_signers, if that is there, signed a version.
set -u
name=$1 stage=${2-}
release=$(sed -n 's/.*"release": "\(.*\)".*/\1/p' reports/package.json 2>/dev/null)
tags() { git tag --list --sort=version:refname --format='%(refname:short) %(contents:subject)' "$name$1*"; }
versions() { tags @ | while read -r version told; do [ "$told" != "$release" ] || echo "$version"; done; }
if [ "$stage" = check ]; then
  [ -f ops/allowed_signers ] || exit 0
  release=${3:-$release}
  for version in $(versions); do
    git -c gpg.ssh.allowedSignersFile=ops/allowed_signers -c gpg.program=false verify-tag "$version" 2>/dev/null && exit 0
  done
  echo "registry: nobody in ops/allowed_signers has signed release $release; tell git a key (user.signingKey)," \
    "then: git tag --delete ${version:-$name@...}, make package" >&2
  exit 1
fi
git rev-parse --quiet --verify HEAD >/dev/null 2>&1 || exit 0 # no commit yet
if ! git var GIT_COMMITTER_IDENT >/dev/null 2>&1; then
  echo "registry: git does not know who you are, so no tag was made (git config user.name, user.email)"
  exit 0
fi
[ -z "$stage" ] || release=$(grep -E '"event": "(deployed|promoted|roll(ing|ed) back)"' releases/ledger.jsonl | tail -1 |
  sed 's/.*"release": "\([^"]*\)".*/\1/')
version=$(versions)
how=$(git config user.signingKey >/dev/null && echo --sign || echo --annotate)
if [ -z "$version" ]; then
  number=$(sed -n 's/^version: *\([0-9]*\).*/\1/p' "releases/$release/bento/src/contract.yaml")
  version="$name@v$number.$(($(tags @ | wc -l) + 1)).0"
  # A commit of its own, beside the branch: GTO knows one version for each commit.
  git tag "$how" --message "$release" "$version" "$(git commit-tree 'HEAD^{tree}' -p HEAD -m "Release $release")"
fi
[ -z "$stage" ] || tags "#$stage#" | tail -1 | grep -q " $release\$" ||
  git tag "$how" --message "$release" "$name#$stage#$(($(tags '#' | wc -l) + 1))" "$version^{commit}"
