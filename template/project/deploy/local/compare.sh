#!/bin/bash
# compare.sh PACKAGE BASE: train the commit BASE and then this one, in a clone below run/, and judge both on the same
# rows: reports/candidate.md. What is not committed does not count; releases and ledger stay. Fails if a gate does.
set -euo pipefail
top=$PWD head=$(git rev-parse HEAD) base=$(git rev-parse --verify "$2^{commit}") name=$1 page=reports/candidate.md
rm -rf run/compare "$page"
git init --quiet run/compare
trap 'rm -rf "$top/run/compare"' EXIT
# Where params.yaml is wrong, the verbs below say so.
python -c "from $name.production.rehearse import lab; lab.link_source(lab.Path('run/compare'))" 2>/dev/null || true
cd run/compare
export PYTHONPATH=$PWD/src
verb() { python -m "$name.production" "$@"; }

judge() { # judge COMMIT: as it is in git; what the cache of DVC knows is not made again
  git fetch --quiet --depth 1 "$top" "$1" && git checkout --quiet --force --detach "$1" && rm -rf reports &&
    { [ ! -e "$top/.dvc/config.local" ] || cp "$top/.dvc/config.local" .dvc; } &&
    dvc config --quiet --local cache.dir "$top/.dvc/cache" && verb plan >/dev/null && dvc repro --quiet train &&
    verb evaluate # always anew: DVC does not know against whom
}

if judge "$base" && verb package; then
  release=$(sed -n 's/.*"release": "\(.*\)".*/\1/p' reports/package.json)
  echo "{\"at\": 0, \"event\": \"deployed\", \"release\": \"$release\"}" >>releases/ledger.jsonl
else
  echo "compare: ${base:0:7} makes no release, so there is nothing to compare with"
fi
status=0
judge "$head" || status=1
mkdir -p "$top/reports"
if [ -e reports/evaluate.json ] && verb compare; then
  cp "$page" "$top/$page"
else
  echo "# ${head:0:7} makes no release: the log of this run says why" >"$top/$page"
  status=1
fi
echo "compare: $page"
[ -z "${GITHUB_STEP_SUMMARY-}" ] || cat "$top/$page" >>"$GITHUB_STEP_SUMMARY"
exit $status
