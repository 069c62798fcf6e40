"""Turn texts into vectors: a frozen transformer, the mean over its tokens; on the GPU where there is one.

Texts of like length share a batch, so that little is computed for padding.
"""

import functools
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, logging

from . import config

BATCH = {"cpu": 32, "cuda": 256}
FEW = 1000  # as many rows as a request may have: its worker has one core


def vectors(texts: Sequence[str | None], encoder: config.Encoder) -> np.ndarray:
    """Return float32 (texts, width), each of length 1; NaN for no text."""
    model, tokenizer = load(encoder.name, encoder.max_tokens, encoder.millions)
    torch.set_num_threads(1 if len(texts) <= FEW else os.cpu_count() or 1)
    each = list({text: None for text in texts if text is not None})
    tokens = sorted(((found.ids, text) for found, text in zip(tokenizer.encode_batch(each), each, strict=True)), key=_long)
    made: dict[str | None, np.ndarray] = {None: np.full(model.config.hidden_size, np.nan, np.float32)}
    size = BATCH[model.device.type]
    for start in range(0, len(tokens), size):
        part = tokens[start : start + size]
        made |= zip((text for _, text in part), _encode(model, [ids for ids, _ in part]), strict=True)
        if len(texts) > FEW and start // size % 100 == 99:
            print(f"encoder: {start + size} of {len(tokens)} texts", flush=True)
    return np.array([made[text] for text in texts])


def _long(part: tuple[list[int], str]) -> int:
    return len(part[0])


def _encode(model: Any, ids: list[list[int]]) -> np.ndarray:
    tokens = torch.zeros((len(ids), len(ids[-1])), dtype=torch.long)  # the last is the longest
    mask = torch.zeros_like(tokens)
    for row, each in enumerate(ids):
        tokens[row, : len(each)], mask[row, : len(each)] = torch.tensor(each), 1
    tokens, mask = tokens.to(model.device, non_blocking=True), mask.to(model.device, non_blocking=True)
    with torch.inference_mode():
        states = model(input_ids=tokens, attention_mask=mask).last_hidden_state.float()
        mean = (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return np.asarray(torch.nn.functional.normalize(mean).cpu())


@functools.cache
def load(name: str, max_tokens: int, millions: float) -> tuple[Any, Tokenizer]:
    """Return the encoder and its tokenizer, ready; refuse one of another size than the plan was made for."""
    logging.disable_progress_bar()
    folder = find(name)
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    except Exception as error:
        what = f"{folder} holds no encoder ({str(error).splitlines()[0][:100]})"
        raise config.Problem(f"contract.yaml: encoder.name: {what}; it needs config, tokenizer and safetensors") from None
    found = sum(part.numel() for part in model.parameters()) / 1e6
    if not 0.9 < found / millions < 1.1:
        raise config.Problem(f"contract.yaml: encoder.millions is {millions:g}, and {name} has {found:.1f}: write that")
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def find(name: str) -> Path:
    """Return the folder that holds an encoder: of this name, or inside the package of this name."""
    for root in (Path(), Path(__file__).parents[2]):  # of the repo, of a release
        if (root / name).is_dir():
            return root / name
    spec = importlib.util.find_spec(name.replace("-", "_")) if "/" not in name else None
    found = sorted(Path(spec.origin).parent.rglob("model.safetensors")) if spec and spec.origin else []
    if not found:
        way_out = "install the package, or put the encoder's files there"
        raise config.Problem(f"contract.yaml: encoder.name: {name} is no folder, and no package with an encoder; {way_out}")
    return found[0].parent
