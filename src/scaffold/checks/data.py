"""The ML Test Score, data: are features expected, useful, cheap, allowed, private and tested?"""

from scaffold.checks.rule import Item


class DATA1(Item):
    """What features must look like is written in a schema.

    A column that changes its type or its unit spoils a model in silence: no code fails, only
    answers do. A schema that is held against each batch stops it at the door.

    Way out: write types, ranges and missing shares into a schema (e.g. Pandera), and let CI test
    it.
    """

    faults = "missing-column retyped-column unit-error null-burst"
    words = (
        "pandera great_expectations tensorflow_data_validation pydeequ whylogs soda frictionless "
        "deepchecks pointblank data_contract"
    )
    tested = "validate_schema pandera dataframeschema great_expectations expectations"
    files = r"(^|/)(contract\.ya?ml|schema\.(ya?ml|json|pbtxt)|expectations/.+\.json)$"


class DATA2(Item):
    """Each feature is of use.

    A feature that adds nothing still costs: it must be kept up, and it can break. Only a
    measurement says which ones these are.

    Way out: measure what the model loses without each feature (ablation or permutation), and keep
    the report.
    """

    words = (
        "permutation_importance ablation feature_importance feature_importances_ rfecv boruta "
        "selectfrommodel shap"
    )
    tested = "test_feature_importance test_ablation"
    files = r"(^|/)docs/features\.md$"


class DATA3(Item):
    """No feature costs too much.

    A feature is paid for with latency, with memory and with what it depends on; a release that adds
    a dear one must be seen before its bill is.

    Way out: promise a latency and a cost per prediction, and hold each release against both.
    """

    faults = "slow-release cost-overrun"
    words = "feature_cost feature_latency cost_per_prediction infracost"
    tested = "benchmark latency_budget"


class DATA4(Item):
    """Features keep to the rules about what may be used.

    Some columns are tempting and forbidden: they are known only after the fact, they stand in for
    the answer, or someone decided against them. Only a machine remembers that each time.

    Way out: list what may not be a feature and why, and fail the training when one of them is.
    """

    faults = "label-leak future-row"
    words = (
        "not_features forbidden_features allowed_features feature_allowlist leakage point_in_time "
        "event_timestamp"
    )
    tested = "leakage data_leakage point_in_time forbidden_features"


class DATA5(Item):
    """Personal data stays private, from the source to the log.

    Training copies data into places that the owner of the source never sees: caches, images, logs.

    Way out: name the personal columns, drop or mask them when they are read, and scan images and
    logs.
    """

    faults = "leaked-secret"
    words = (
        "presidio_analyzer pii anonymize anonymise pseudonymize scrubadub opacus diffprivlib gdpr "
        "gitleaks detect_secrets"
    )
    tested = "pii anonymize anonymise redact"


class DATA6(Item):
    """A new feature reaches production quickly, and in one place.

    If a feature must be written twice, once to train and once to serve, it is late and it differs.

    Way out: make features with one function or store that training and serving share.
    """

    faults = "skew"
    promoted = True
    words = "feature_view feature_store featurestore columntransformer hopsworks tecton"
    tested = "test_features feature_store columntransformer"


class DATA7(Item):
    """The code that makes features is tested.

    A mistake in it is learnt by the model and cannot be told from the world.

    Way out: test features on rows whose values you know, in tests that CI runs.
    """

    faults = "skew future-row"
    tested = "features build_features make_features preprocess preprocessing featurize"
