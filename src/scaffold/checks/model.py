"""The ML Test Score, model: was it reviewed, tuned, compared, and for whom is it good?"""

import re

from scaffold.checks.reading import mapping
from scaffold.checks.result import Judged
from scaffold.checks.rule import Item, Subject

ENFORCED = r"^\.github/(rulesets/.+\.json|settings\.ya?ml)$"
REVIEWS = re.compile(r"required_pull_request_reviews|required_approving_review_count")
INCLUSION = "docs/card.yaml"


class MODEL1(Item):
    """Every change of the model is reviewed and committed.

    What cannot be seen in the history cannot be explained later, nor repeated. That reviews are
    asked for shows in CODEOWNERS; that they must happen, only in the settings of the branch. A
    whole point needs such a ruleset in the repo.

    Way out: name owners in CODEOWNERS, and commit a ruleset that requires a review
    (.github/rulesets).
    """

    files = r"^(\.github/|docs/)?codeowners$|pull_request_template"

    @classmethod
    def judge(cls, subject: Subject) -> Judged:
        for path in subject.repo.matching(ENFORCED):
            if REVIEWS.search(subject.repo.text(path)):
                return cls.judged(1, "a review is required", path)
        return cls.shown(subject)


class MODEL2(Item):
    """What is measured before a release goes with what is seen after it.

    A better score on old rows is worth something only if users are better off too.

    Way out: compare the quality on late labels, or an experiment, with what the evaluation
    expected.
    """

    faults = "concept-drift"
    words = "online_metrics ab_test shadow_mode interleaving growthbook expected_at_release"
    tested = "online_metrics ab_test"


class MODEL3(Item):
    """The hyperparameters are tuned.

    Defaults are made for nobody's data: what they cost is unknown until someone searches. Our repos
    do it with `make search`: its report is a whole point.

    Way out: search the parameters on a validation split: `make search` in our repos, or Optuna.
    """

    words = (
        "optuna gridsearchcv randomizedsearchcv halvinggridsearchcv hyperopt bayessearchcv "
        "keras_tuner kerastuner katib raytune skopt flaml"
    )
    tested = "optuna gridsearchcv randomizedsearchcv"
    files = r"(^|/)sweep\.ya?ml$"

    @classmethod
    def judge(cls, subject: Subject) -> Judged:
        from scaffold.checks.evidence import SEARCH

        if not (subject.evidence.ours and subject.repo.matching(r"/production/search\.py$")):
            return cls.shown(subject)
        tried = subject.repo.document(SEARCH).get("tried", [])
        if not tried:
            return cls.judged(0.5, "`make search` is there, and was not run")
        return cls.judged(1, f"{len(tried)} settings were tried", SEARCH)


class MODEL4(Item):
    """It is known how a model fares as it ages.

    Whoever does not know how fast a model goes stale retrains too often, or too late. Our repos
    measure it with `make staleness`: its report is a whole point.

    Way out: train on ever older rows and score the newest: `make staleness` in our repos.
    """

    words = "staleness backtest backtesting model_age rolling_origin"
    tested = "staleness backtest"

    @classmethod
    def judge(cls, subject: Subject) -> Judged:
        from scaffold.checks.evidence import STALENESS

        if not subject.evidence.ours:
            return cls.shown(subject)
        found = subject.repo.document(STALENESS)
        if not found:
            return cls.judged(0.5, "`make staleness` is there, and was not run")
        holds, promised = found.get("holds_days", 0), found.get("promised", 0)
        return cls.judged(
            1, f"measured: holds for {holds} days, {promised:g} are promised", STALENESS
        )


class MODEL5(Item):
    """A simpler model is not as good.

    A model that barely beats one feature, or the mean, is not worth its keep.

    Way out: train a baseline beside it, and refuse a model whose lead may be nothing.
    """

    faults = "no-better-than-baseline"
    gate = "baseline"
    words = "dummyclassifier dummyregressor baseline_model naive_forecast baseline_score"
    tested = "baseline baseline_model dummyclassifier dummyregressor"


class MODEL6(Item):
    """The quality is sufficient on each slice that matters.

    A mean hides the region, the product or the group for which the model is bad.

    Way out: declare slices, measure each, and refuse a model that fails one.
    """

    faults = "failing-slice"
    gate = "slice"
    words = (
        "metricframe tensorflow_model_analysis slicing_specs slice_metrics sliceguard by_segment"
    )
    tested = "subgroup subgroups metricframe slice_metrics per_slice"


class MODEL7(Item):
    """The model was looked at for those whom it may leave out.

    Rows describe people, or decide about them, more often than it seems; somebody must have looked.
    Our repos say it in docs/card.yaml (`people_concerned`: half a point), and need the slices of
    MODEL6 for a whole one.

    Way out: write whom the rows describe, who is missing and how each group fares, and test it by
    group.
    """

    words = (
        "fairlearn aif360 fairness demographic_parity equalized_odds disparate_impact "
        "fairness_indicators aequitas"
    )
    tested = "fairness demographic_parity equalized_odds inclusion"
    files = r"(^|/)model[-_]?card[^/]*\.(md|ya?ml|json)$"

    @classmethod
    def judge(cls, subject: Subject) -> Judged:
        if not subject.evidence.ours:
            return cls.shown(subject)
        card = mapping(subject.repo.document(INCLUSION))
        if not card.get("people_concerned"):
            return cls.judged(0, f"nobody wrote people_concerned into {INCLUSION}", INCLUSION)
        if MODEL6.judge(subject).points == 1:
            return cls.judged(1, "the groups are named, and the slices are held", INCLUSION)
        return cls.judged(0.5, "the groups are named; no run shows how each fares", INCLUSION)
