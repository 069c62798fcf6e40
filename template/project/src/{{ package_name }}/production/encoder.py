"""Turn texts into vectors: a frozen transformer, the mean over its tokens; on the GPU where there is one.

Texts of like length share a batch: what is computed for padding is lost. A card minds less than a processor.
"""

import functools
import importlib.util
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModel
from transformers.utils.logging import disable_progress_bar

from . import config

ROOTS = Path(__file__).parents[2:4]  # of a release, of the repo
FEW, CORES = 1000, torch.get_num_threads()  # as many rows as a request may have: its worker has one core
FILES = "config.json tokenizer.json model.safetensors"
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
logger = logging.getLogger("bentoml.service")


def vectors(texts: Sequence[str | None], encoder: config.Encoder) -> np.ndarray:
    """Return float32 (texts, width), each of length 1; NaN for no text."""
    model, tokenizer = load(encoder.name, encoder.max_tokens, encoder.millions)
    torch.set_num_threads(1 if len(texts) <= FEW else CORES)
    each = [*dict.fromkeys(text for text in texts if text is not None)]
    tokens = dict(zip(each, (found.ids for found in tokenizer.encode_batch(each)), strict=True))
    each.sort(key=lambda text: len(tokens[text]))
    made: dict[str | None, np.ndarray] = {None: np.full(model.config.hidden_size, np.nan, np.float32)}
    parts, size, longer = [list[str]()], batch_size(), 4 if torch.cuda.is_available() else 1.5
    for text in each:
        if len(parts[-1]) == size or (parts[-1] and len(tokens[text]) > longer * len(tokens[parts[-1][0]])):
            parts.append([])
        parts[-1].append(text)
    for number, part in enumerate(filter(None, parts), 1):
        made |= zip(part, _encode(model, [tokens[text] for text in part]), strict=True)
        if number % 100 == 0:
            print(f"encoder: {len(made) - 1} of {len(each)} texts", flush=True)
    return np.array([made[text] for text in texts])


def _encode(model: Any, ids: list[list[int]]) -> np.ndarray:
    padded = np.zeros((len(ids), len(ids[-1])), np.int64)  # the last is the longest
    for row, each in zip(padded, ids, strict=True):
        row[: len(each)] = each
    lengths = torch.tensor([[len(each)] for each in ids])
    tokens = torch.from_numpy(padded).to(model.device)
    mask = (torch.arange(padded.shape[1]) < lengths).long().to(model.device)
    with torch.inference_mode():
        states = model(input_ids=tokens, attention_mask=mask).last_hidden_state.float()
        mean = (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return np.asarray(torch.nn.functional.normalize(mean).cpu())


@functools.cache
def load(name: str, max_tokens: int, millions: float) -> tuple[Any, Tokenizer]:
    """Return the encoder and its tokenizer, ready; refuse one of another size than the plan was made for."""
    quiet: Callable[[], None] = disable_progress_bar
    quiet()
    folder = find(name)
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    except Exception as error:  # each library has its own
        said = f"{name} holds no encoder ({str(error).splitlines()[0][:100]})"
        way_out = f"bring {FILES}"
        raise config.Problem(f"contract.yaml: encoder.name: {said}; {way_out}") from None
    found = sum(part.numel() for part in model.parameters()) / 1e6
    if not 0.9 < found / millions < 1.1:
        raise config.Problem(f"contract.yaml: encoder.millions is {millions:g}, and {name} has {found:.1f}: write that")
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return _on_card(model), tokenizer


def _on_card(model: Any) -> Any:
    """Bring the encoder to the card, if there is one, and if it has the room that was planned with."""
    planned = card()
    if not torch.cuda.is_available():
        if planned:
            logger.warning("no card is there, and one was planned with: the processor encodes")
        return model
    free, needed = torch.cuda.mem_get_info()[0] / 2**20, planned.get("memory_mib", 0)
    if free < needed:
        what = f"the card has {free:.0f} MiB free, and {needed} are needed"
        raise config.Problem(f"encoder: {what}; stop what else runs on it, or choose another (ops/gpu.yaml)")
    return model.to("cuda", PRECISIONS[planned.get("precision", "fp16")])


def card() -> dict[str, Any]:
    """Return what follows for the card that serves (ops/derived/gpu.json); nothing where the processor does."""
    paths = [root / "ops/derived/gpu.json" for root in ROOTS]
    return next((json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()), {})


@functools.cache
def batch_size() -> int:
    """Return how many texts are encoded at once: as planned for the card, or as a core likes best."""
    return int(card().get("batch_size", 256)) if torch.cuda.is_available() else 32


def find(name: str) -> Path:
    """Return the folder that holds an encoder: of this name, or inside the package of this name."""
    for root in ROOTS:
        if (root / name).is_dir():
            return root / name
    spec = importlib.util.find_spec(name.replace("-", "_")) if "/" not in name else None
    found = sorted(Path(spec.origin).parent.rglob("model.safetensors")) if spec and spec.origin else []
    if not found:
        what, fetch = f"{name} is no folder, and no package with an encoder", f".venv/bin/hf download {name} {FILES}"
        way_out = f"{fetch} --local-dir {name}" if "/" in name else "install it, or put the encoder's files there"
        raise config.Problem(f"contract.yaml: encoder.name: {what}; {way_out}")
    return found[0].parent
