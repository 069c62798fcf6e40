"""The ML Test Score, monitoring: who is told when the world, the data or the model changes?"""

from scaffold.checks.rule import Item


class MONITOR1(Item):
    """Whoever depends on a source is told when it changes.

    Data comes from other people's systems, and they change them without knowing of you.

    Way out: watch each source for absence and change, and send it to whom it concerns.
    """

    faults = "late-data dependency-down missing-column"
    words = "source_freshness schema_change data_contract datacontract schema_registry"
    tested = "freshness schema_change"


class MONITOR2(Item):
    """What holds for the data holds for what is served, too.

    A schema that is asked only when training is no guard for the requests that come afterwards.

    Way out: hold each request against the schema, and each window of them against the training
    data.
    """

    faults = "garbage-requests covariate-drift"
    words = (
        "evidently nannyml alibi_detect data_drift datadrift whylogs drift_detection model_monitor"
    )
    tested = "drift data_drift detect_drift"


class MONITOR3(Item):
    """Training and serving see the same features.

    The commonest silent fault: what is computed twice is computed in two ways.

    Way out: compute features of the same rows in both, and compare each value.
    """

    faults = "skew"
    words = "training_serving_skew serving_skew skew_detection feature_parity skew_comparator"
    tested = "feature_parity test_parity training_serving_skew serving_skew"


class MONITOR4(Item):
    """The model that serves is not too old.

    A pipeline that stopped last month is not seen in any answer; only in a date.

    Way out: export the age of model and data as metrics, and alert on a promised limit.
    """

    faults = "stale-model"
    words = "model_age model_staleness model_age_days last_trained trained_at"
    tested = "model_age staleness last_trained"


class MONITOR5(Item):
    """The model's numbers stay finite.

    One NaN in training or in a request spreads, and many libraries pass it on without a word.

    Way out: refuse a model that answers NaN or infinity, and count such answers in service.
    """

    faults = "unstable-model"
    words = "check_numerics terminateonnan assert_all_finite detect_anomaly isfinite"
    tested = "isfinite isnan check_numerics assert_all_finite"


class MONITOR6(Item):
    """The computing stays as fast and as lean as it was.

    A library's new version can double latency or memory, and no test of answers sees it.

    Way out: promise latency and throughput, alert on them, and test the load before a release.
    """

    faults = "slow-release spike killed-worker"
    words = "prometheus_client histogram_quantile opentelemetry locust k6 statsd datadog latency"
    tested = "latency benchmark locust throughput load_test"


class MONITOR7(Item):
    """The quality of the answers is watched in service.

    The world moves while inputs look the same; only late labels, or people, can tell.

    Way out: join answers with labels when these come, and alert when the quality falls below its
    floor.
    """

    faults = "concept-drift"
    words = (
        "performance_drift model_performance online_accuracy classificationpreset "
        "regressionpreset ground_truth delayed_labels performance_estimation cbpe"
    )
    tested = "model_performance online_accuracy ground_truth concept_drift"
