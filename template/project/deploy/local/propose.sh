#!/bin/bash
# Put what a retraining changed on a branch, and ask for a review with the comparison as its text (needs gh).
set -euo pipefail
branch=retrain-$(date -u +%Y-%m-%d)
git switch --quiet --force-create "$branch"
git add params.yaml dvc.lock docs
git -c user.name=retrain -c user.email=retrain@localhost commit --quiet --message "Retrain: see the pull request"
gh auth setup-git
git push --quiet origin --tags # the candidate's: no branch leads to it
git push --quiet --force origin "$branch"
gh pr create --head "$branch" --title "Retrain: a candidate of the newest labels" --body-file reports/candidate.md
