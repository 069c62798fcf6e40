"""The ML Test Score, infrastructure: can it be trained again, let in by degrees, and taken back?"""

from scaffold.checks.rule import Item


class INFRA1(Item):
    """Training can be repeated.

    If the same rows give another model each time, no change can be judged, and no fault can be
    found.

    Way out: fix seeds and versions, train twice in a test, and compare.
    """

    faults = "irreproducible"
    gate = "reproducible"
    words = "random_state set_seed seed_everything manual_seed random_seed"
    tested = "reproducible reproducibility deterministic test_seed"
    files = r"(^|/)dvc\.lock$"


class INFRA2(Item):
    """The code that defines the model is unit tested.

    A training takes hours: what it may get wrong must show in seconds, on a few rows.

    Way out: test that a model learns a few rows, answers finite numbers, and survives saving.
    """

    faults = "unstable-model worse-candidate"
    words = "overfit_batch fast_dev_run"
    tested = "fit predict train_model build_model overfit_batch"


class INFRA3(Item):
    """The whole pipeline is tested at once.

    Each part may be right, and the whole fail where two of them meet.

    Way out: run the pipeline on a sample in CI, from the source to an answer of the service.
    """

    faults = "missing-column failing-release"
    promoted = True
    words = "kfp zenml metaflow prefect airflow dagster luigi mlproject"
    tested = "end_to_end e2e integration test_pipeline test_flow run_pipeline"
    files = r"(^|/)(dvc\.yaml|mlproject)$|(^|/)tests?/(integration|e2e)/"


class INFRA4(Item):
    """The model's quality is judged before it serves.

    The last chance to refuse a bad model is before the first user meets it.

    Way out: make the pipeline fail when the quality is below a floor or below the model that
    serves.
    """

    faults = "label-leak bad-labels worse-candidate"
    words = (
        "quality_gate model_validation min_accuracy accuracy_threshold blessing validate_model "
        "mlflow_evaluate champion"
    )
    tested = "min_accuracy accuracy_threshold accuracy_score roc_auc_score champion"


class INFRA5(Item):
    """One answer can be taken apart, step by step.

    When one customer asks why, a mean over all of them is no answer.

    Way out: log what was asked with the release that answered, and compute any answer again.
    """

    proofs = "test_any_logged_prediction_is_recomputed_bit_for_bit"
    words = "captum shap lime explainer explain_prediction detect_anomaly eli5"
    tested = "explain explainer replay"


class INFRA6(Item):
    """A new model meets a few requests before it meets all.

    What tests cannot show, the first one in twenty does, at a twentieth of the harm.

    Way out: send a share of the traffic to the candidate, and end it when it is slower or worse.
    """

    faults = "slow-release failing-release wrong-release"
    words = (
        "canary trafficsplit canarytrafficpercent setweight flagger shadow_mode traffic_split "
        "bluegreen initialvariantweight"
    )
    tested = "canary shadow_mode traffic_split"


class INFRA7(Item):
    """The model that served before can be brought back.

    A way back that nobody tried is no way back, and it is needed at night.

    Way out: keep the releases that served, and go back to one in a test.
    """

    faults = "rollback-twice lost-artefact corrupt-model"
    words = (
        "rollback_model model_rollback rollback_release rollback_deployment "
        "previous_version set_registered_model_alias transition_model_version_stage"
    )
    tested = "rollback_model model_rollback rollback_release roll_back previous_version"
