#!/bin/bash
# Put what a retraining changed on a branch, and ask for a review with the comparison as its text.
set -euo pipefail
branch=retrain-$(date -u +%Y-%m-%d)
git switch --force-create "$branch"
git add params.yaml dvc.lock docs
git -c user.name=retrain -c user.email=retrain@localhost commit --quiet --message "Retrain: see the pull request"
gh auth setup-git
git push --quiet --force --follow-tags origin "$branch"
gh pr create --head "$branch" --title "Retrain: a candidate of the newest labels" --body-file reports/candidate.md
