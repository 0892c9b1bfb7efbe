"""Reading a model's weights from a file: whole or not at all, and never as code."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from compress.errors import ModelError

_SHOWN = 5
_WRAPPERS = ("state_dict", "model")


def load_weights(model: nn.Module, path: Path) -> None:
    """Put a file's weights into a model.

    Args:
        model: takes exactly these weights.
        path: .safetensors, or a file of torch.save that holds a state_dict, alone or under the key `state_dict` or
            `model`. A pickle that would execute code is refused, not loaded.

    Raises:
        ModelError: the file is missing or damaged, would execute code, or does not fit the model.
    """
    weights = _read(path)
    wanted = model.state_dict()
    faults = []
    for phrase, names in (
        ("missing", [name for name in wanted if name not in weights]),
        ("unexpected", [name for name in weights if name not in wanted]),
        (
            "of another shape",
            [
                f"{name} {tuple(weights[name].shape)} for {tuple(tensor.shape)}"
                for name, tensor in wanted.items()
                if name in weights and weights[name].shape != tensor.shape
            ],
        ),
        ("not finite", [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]),
    ):
        if names:
            faults.append(f"{len(names)} {phrase}: {_list(names)}")
    if faults:
        raise ModelError(
            f"{path}: does not fit the model: {'; '.join(faults)}; expected exactly its {len(wanted)} tensors; name the"
            " model that the file was saved from, or rename the file's keys"
        )
    model.load_state_dict(weights)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelError(f"{path}: no such file; expected a model's weights, .safetensors or .pt; correct the path")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        if isinstance(error, pickle.UnpicklingError) and (code := re.search(r"GLOBAL (\S+)", str(error))):
            raise ModelError(
                f"{path}: holds Python objects, which loading would execute ({code[1]}); expected tensors alone;"
                " save model.state_dict() as .safetensors"
            ) from error
        raise ModelError(
            f"{path}: cannot be read as weights ({type(error).__name__}); expected .safetensors or a file of"
            " torch.save; copy or save it again"
        ) from error
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelError(
            f"{path}: holds no state_dict; expected names with tensors, alone or under {' or '.join(_WRAPPERS)};"
            " save model.state_dict()"
        )
    return content


def _list(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
