"""Reading a model's weights from a file: whole or not at all, and never as code."""

from __future__ import annotations

import pickle
import pickletools
import re
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from compress.errors import ModelError

_SHOWN = 20
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
            f"{path}: does not fit the model: {'; '.join(faults)}; expected exactly its {len(wanted)} tensors;"
            f" {_mend(weights, wanted)}"
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
        code = _code_in(path, error)
        if code:
            raise ModelError(
                f"{path}: holds Python objects, which loading would execute ({code}); expected tensors alone;"
                " save model.state_dict() as .safetensors"
            ) from error
        raise ModelError(
            f"{path}: cannot be read as weights ({type(error).__name__}); expected .safetensors or a file of"
            " torch.save; copy or save it again"
        ) from error
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise ModelError(
            f"{path}: holds no state_dict; expected names with tensors, alone or under {' or '.join(_WRAPPERS)};"
            " save model.state_dict()"
        )
    return content


def _mend(weights: dict[str, Tensor], wanted: dict[str, Tensor]) -> str:
    """What to do; a prefix that a wrapper has put before every name is found."""
    for name in weights:
        head, _, rest = name.partition(".")
        if rest in wanted and all(each.startswith(f"{head}.") for each in weights):
            return f"remove {head!r} and the point from the beginning of the file's keys: a wrapper has put them there"
    return "name the model that the file was saved from, or rename the file's keys"


def _code_in(path: Path, error: Exception) -> str | None:
    """The first object that a pickle would import and that is no tensor's, if there is one. Nothing is executed."""
    if isinstance(error, pickle.UnpicklingError) and (found := re.search(r"GLOBAL (\S+)", str(error))):
        return found[1]
    try:
        with path.open("rb") as file:  # a plain pickle, which torch.save has not written for years
            names: list[str] = []
            for opcode, argument, _ in pickletools.genops(file):
                if opcode.name == "GLOBAL":
                    return str(argument).replace(" ", ".")
                if opcode.name == "STACK_GLOBAL" and len(names) > 1:
                    return ".".join(names[-2:])
                if isinstance(argument, str):
                    names.append(argument)
    except (ValueError, OSError):
        return None
    return None


def _list(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
