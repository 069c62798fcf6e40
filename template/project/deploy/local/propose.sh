#!/bin/bash
# propose.sh BRANCH TITLE TEXT [PATH...]: put what is staged, and what changed in these paths, on a branch, and ask for a
# review with the file TEXT (needs gh). A branch that is there already stays, unless its name is given as +BRANCH.
set -euo pipefail
name=$1 branch=${1#+} title=$2 text=$3
shift 3
[ $# -eq 0 ] || git add "$@"
if git diff --cached --quiet; then
  echo "propose: nothing changed"
  exit 0
fi
gh auth setup-git
if [ "$name" = "$branch" ] && [ "$(git ls-remote --heads origin "$branch")" ]; then
  echo "propose: $branch waits for its review already"
  exit 0
fi
git switch --quiet --force-create "$branch"
git -c user.name=robot -c user.email=robot@localhost commit --quiet --message "$title"
git push --quiet origin --tags # a candidate's: no branch leads to it
git push --quiet --force origin "$branch"
gh pr create --head "$branch" --title "$title" --body-file "$text"
