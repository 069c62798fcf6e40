"""Train, load and ask the model. Put your own in: keep the four signatures.

The model travels as text, never as a pickle: what is loaded in production cannot run code.
"""

import ctypes
from collections.abc import Callable

import lightgbm as lgb
import numpy as np
from lightgbm.basic import _LIB, _safe_call  # type: ignore[attr-defined]

Levels = dict[str, list[str]]
Params = dict[str, float | int | str]


class Model:
    """A LightGBM booster, and its C call for one row, in one thread: the same bits with 20 microseconds less."""

    def __init__(self, text: str) -> None:
        self.booster = lgb.Booster(model_str=text)
        self._in, self._out = np.empty(self.booster.num_feature()), np.empty(self.booster.num_model_per_iteration())
        settings, length = ctypes.c_void_p(), ctypes.c_int64()
        at, found = ctypes.c_void_p(self._in.ctypes.data), ctypes.c_void_p(self._out.ctypes.data)
        self._words = (settings, at, ctypes.byref(length), found)
        kind, first_round, last_round, float64 = 0, 0, -1, 1
        columns, to = ctypes.c_int32(len(self._in)), ctypes.byref(settings)
        how = (kind, first_round, last_round, float64, columns, b"num_threads=1", to)
        _safe_call(_LIB.LGBM_BoosterPredictForMatSingleRowFastInit(self.booster._handle, *how))

    def one(self, x: np.ndarray) -> np.ndarray:
        """Return the prediction of one row, float64 (1, features)."""
        self._in[:] = x[0]
        _safe_call(_LIB.LGBM_BoosterPredictForMatSingleRowFast(*self._words))
        found = self._out.copy()
        return found if len(found) == 1 else found.reshape(1, -1)


def train(x: np.ndarray, y: np.ndarray, levels: Levels, params: Params, progress: Callable[[int, int], None]) -> str:
    """Return the trained model as text; the last fifth of the rows says how many rounds are enough.

    `x` is float64 (rows, features), oldest first, missing as NaN; `y` is 0 or 1, the number of the class, or a
    number (see params["objective"]). `levels` has the features in the order of the columns, with the texts behind
    the codes 0, 1, ... (none: a number). Call `progress(done, total)` as you go.
    """
    # By position: LightGBM refuses names with quotes or commas.
    categorical = [position for position, known in enumerate(levels.values()) if known]
    # deterministic, force_row_wise and a seed: the same data gives the same bytes. Threads spin while they wait for one
    # another: with more than there are idle cores, as beside a service, a training takes thirty times as long.
    fixed = {"verbose": -1, "deterministic": True, "force_row_wise": True, "num_threads": 1}
    settings = {name: value for name, value in params.items() if name != "num_iterations"} | fixed
    most, cut = int(params["num_iterations"]), len(y) * 4 // 5
    older = lgb.Dataset(x[:cut], y[:cut], categorical_feature=categorical)
    newer = lgb.Dataset(x[cut:], y[cut:], reference=older)
    stop = lgb.early_stopping(25, verbose=False)
    rounds = lgb.train(settings, older, most, valid_sets=[newer], callbacks=[stop]).best_iteration
    told = [lambda env: progress(env.iteration + 1, env.end_iteration)]
    whole = lgb.Dataset(x, y, categorical_feature=categorical)
    return str(lgb.train(settings, whole, rounds, callbacks=told).model_to_string())


def load(text: str) -> Model:
    """Return the model that `train` wrote; raises LightGBM's error on a damaged text."""
    return Model(text)


def predict(model: Model, x: np.ndarray) -> np.ndarray:
    """Return float64: the probability of yes (rows,), of each class (rows, classes), or the number (rows,)."""
    # One thread: the service runs one process per core, and more threads only queue.
    return model.one(x) if len(x) == 1 else np.asarray(model.booster.predict(x, num_threads=1))


def explain(model: Model, x: np.ndarray) -> np.ndarray:
    """Return TreeSHAP contributions to the raw score, float64 (rows, classes x (features + 1)); last: the base."""
    return np.asarray(model.booster.predict(x, num_threads=1, pred_contrib=True))
