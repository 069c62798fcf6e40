"""Train, load and ask the model. Put your own in: keep the four signatures.

The model travels as text, never as a pickle: what is loaded in production cannot run code.
"""

from collections.abc import Callable

import lightgbm as lgb
import numpy as np

Model = lgb.Booster


def train(
    x: np.ndarray,
    y: np.ndarray,
    names: list[str],
    categorical: list[str],
    params: dict[str, float | int | str],
    seed: int,
    progress: Callable[[int, int], None],
) -> str:
    """Return the trained model as text.

    `x` is float64 (rows, features), missing as NaN, categories as codes from 0; `y` is 0 or 1.
    `progress(done, total)` is called after each round.
    """
    # force_row_wise, deterministic and a seed: the same data gives the same bytes.
    fixed = {"objective": "binary", "verbose": -1, "deterministic": True, "force_row_wise": True}
    data = lgb.Dataset(x, y, feature_name=names, categorical_feature=categorical)
    settings = {**params, **fixed, "seed": seed, "num_threads": 2}
    rounds = int(params["num_iterations"])
    del settings["num_iterations"]  # LightGBM takes it as an argument

    def report(env: lgb.callback.CallbackEnv) -> None:
        progress(env.iteration + 1, env.end_iteration)

    return str(lgb.train(settings, data, rounds, callbacks=[report]).model_to_string())


def load(text: str) -> Model:
    """Return the model that `train` wrote; raises LightGBM's error on a damaged text."""
    return lgb.Booster(model_str=text)


def predict(model: Model, x: np.ndarray) -> np.ndarray:
    """Return the probability of the positive class, float64 (rows,)."""
    # One thread: the service runs one process per core, and more threads only queue.
    return np.asarray(model.predict(x, num_threads=1))


def explain(model: Model, x: np.ndarray) -> np.ndarray:
    """Return TreeSHAP contributions in log-odds, float64 (rows, features + 1); last: the base."""
    return np.asarray(model.predict(x, num_threads=1, pred_contrib=True))
