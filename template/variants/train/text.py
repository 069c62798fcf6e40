"""Train, load and ask the model: a linear layer on the encoder's vectors and the other columns. Put your own in: keep
the four signatures.

The model travels as text, never as a pickle: safetensors, in base64.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as unpack
from safetensors.torch import save as pack

Levels = dict[str, list[str]]
Params = dict[str, float | int | str]
Model = dict[str, torch.Tensor]  # levels, mean, scale by column; holes: columns where a value may be missing; ...


def train(x: np.ndarray, y: np.ndarray, levels: Levels, params: Params, progress: Callable[[int, int], None]) -> str:
    """Return the trained model as text.

    `x` is float64 (rows, features), oldest first, missing as NaN; `y` is 0 or 1, the number of the class, or a
    number (see params["objective"]). `levels` has the features in the order of the columns, with the texts behind
    the codes 0, 1, ... (none: a number). Call `progress(done, total)` as you go.
    """
    torch.set_num_threads(1)  # the same data gives the same bytes
    torch.manual_seed(int(params["seed"]))
    task, rounds = str(params["objective"]), int(params["rounds"])
    model = {
        "levels": torch.tensor([len(known) for known in levels.values()]),
        "mean": torch.from_numpy(np.nan_to_num(np.nanmean(x, axis=0))),
        "scale": torch.from_numpy(np.nan_to_num(np.nanstd(x, axis=0)) + 1e-9),
        "holes": torch.from_numpy(np.flatnonzero(np.isnan(x).any(axis=0))),
    }
    inputs = torch.cat([part for _, part in _parts(model, x)], dim=1)
    center, spread = (float(y.mean()), float(y.std()) + 1e-9) if task == "regression" else (0.0, 1.0)
    answers = int(params["num_class"])
    weight = torch.zeros((inputs.shape[1], answers), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(answers, dtype=torch.float64, requires_grad=True)
    truth = torch.from_numpy(y).long() if task == "multiclass" else torch.from_numpy((y - center) / spread)[:, None]
    losses = {"multiclass": "cross_entropy", "regression": "mse_loss", "binary": "binary_cross_entropy_with_logits"}
    loss_of, done = getattr(torch.nn.functional, losses[task]), 0
    optimizer: Any = torch.optim.LBFGS([weight, bias], max_iter=rounds, line_search_fn="strong_wolfe")

    def step() -> Any:
        nonlocal done
        optimizer.zero_grad()
        loss: Any = loss_of(inputs @ weight + bias, truth) + float(params["l2"]) * weight.square().sum()
        loss.backward()
        done += 1
        progress(min(done, rounds), rounds)
        return loss

    optimizer.step(step)
    model |= {"weight": spread * weight.detach(), "bias": center + spread * bias.detach()}
    model["task"] = torch.tensor({"binary": 1, "regression": 0}.get(task, answers))
    return base64.b64encode(pack(model)).decode()


def load(text: str) -> Model:
    """Return the model that `train` wrote; raises ValueError on a damaged text."""
    try:
        return unpack(base64.b64decode(text, validate=True))
    except (binascii.Error, SafetensorError) as error:
        raise ValueError(f"the model is damaged: {error}") from None


def predict(model: Model, x: np.ndarray) -> np.ndarray:
    """Return float64: the probability of yes (rows,), of each class (rows, classes), or the number (rows,)."""
    raw = torch.cat([part for _, part in _parts(model, x)], dim=1) @ model["weight"] + model["bias"]
    if (task := int(model["task"])) > 1:
        return np.asarray(raw.softmax(dim=1))
    return np.asarray((raw.sigmoid() if task else raw)[:, 0])


def explain(model: Model, x: np.ndarray) -> np.ndarray:
    """Return contributions to the raw score, float64 (rows, classes x (features + 1)); last: the base."""
    found = torch.zeros((len(x), model["weight"].shape[1], x.shape[1] + 1), dtype=torch.float64)
    found[:, :, -1], start = model["bias"], 0
    for column, part in _parts(model, x):
        weight = model["weight"][start : start + part.shape[1]]
        start += part.shape[1]
        found[:, :, column] += part @ weight if isinstance(column, int) else (part[:, :, None] * weight).transpose(1, 2)
    return np.asarray(found.reshape(len(x), -1))


def _parts(model: Model, x: np.ndarray) -> list[tuple[int | torch.Tensor, torch.Tensor]]:
    """Return the linear layer's inputs with the columns of `x` that they are made of: the numbers, in units of their
    spread, with 0 where one is missing; where one may be, whether it is; and of a text each level.
    """
    found, levels, holes = torch.from_numpy(np.ascontiguousarray(x)), model["levels"], model["holes"]
    numbers = torch.nonzero(levels == 0)[:, 0]
    scaled = (found[:, numbers] - model["mean"][numbers]) / model["scale"][numbers]
    parts: list[tuple[int | torch.Tensor, torch.Tensor]] = [(numbers, scaled.nan_to_num())]
    parts.append((holes, found[:, holes].isnan().double()))
    for column in torch.nonzero(levels)[:, 0].tolist():
        parts.append((column, (found[:, column : column + 1] == torch.arange(int(levels[column]))).double()))
    return parts
