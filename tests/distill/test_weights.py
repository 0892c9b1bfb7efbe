"""Weights go into a model whole or not at all, and no file of theirs is ever run."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from compress.distill import load_weights
from compress.errors import ModelError


def net(outputs: int = 2) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, outputs))


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("w.safetensors", lambda state, path: save_file(state, path)),
        ("w.pt", lambda state, path: torch.save(state, path)),
        ("w.pth", lambda state, path: torch.save({"state_dict": state, "epoch": 3}, path)),
        ("w.ckpt", lambda state, path: torch.save({"model": state, "optimizer": {}}, path)),
        ("old.pt", lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False)),
    ],
)
def test_what_was_saved_comes_back(tmp_path: Path, name: str, save) -> None:
    saved, loaded = net(), net()
    save(saved.state_dict(), tmp_path / name)
    load_weights(loaded, tmp_path / name)
    assert all(torch.equal(a, b) for a, b in zip(saved.parameters(), loaded.parameters(), strict=True))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (lambda s: {k: v for k, v in s.items() if not k.startswith("1.")}, "2 missing: 1.weight, 1.bias"),
        (lambda s: s | {"head.weight": torch.ones(1)}, "1 unexpected: head.weight"),
        (lambda s: s | {f"x{i}": torch.ones(1) for i in range(27)}, "27 unexpected: x0, x1, .*, x19 and 7 more"),
        (
            lambda s: {f"module.{k}": v for k, v in s.items()},
            "4 missing: .*; 4 unexpected: module.0.weight.*remove 'module' and the point",
        ),
        (lambda s: s | {"1.bias": torch.ones(5)}, r"1 of another shape: 1.bias \(5,\) for \(2,\)"),
        (lambda s: s | {"1.bias": torch.tensor([1.0, torch.nan])}, "1 not finite: 1.bias"),
        (lambda _: {"epoch": 3}, "holds no state_dict"),
        (lambda _: {0: torch.ones(1)}, "holds no state_dict"),
        (lambda _: [torch.ones(1)], "holds no state_dict"),
    ],
)
def test_what_does_not_fit_is_listed_and_changes_nothing(tmp_path: Path, state, message: str) -> None:
    model = net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.save(state(net().state_dict()), tmp_path / "w.pt")
    with pytest.raises(ModelError, match=message):
        load_weights(model, tmp_path / "w.pt")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_pickle_that_would_execute_code_is_refused_and_does_not_execute(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    torch.save({"weight": Evil(mark)}, tmp_path / "zip.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil(mark), protocol=2))
    (tmp_path / "modern.pt").write_bytes(pickle.dumps(Evil(mark), protocol=4))
    for name in ("zip.pt", "plain.pt", "modern.pt"):
        with pytest.raises(ModelError, match=rf"{name}: holds Python objects, which loading would execute \(.*mkdir\)"):
            load_weights(net(), tmp_path / name)
    torch.save(net(), tmp_path / "module.pt")
    with pytest.raises(ModelError, match=r"would execute .*Sequential.*save model.state_dict"):
        load_weights(net(), tmp_path / "module.pt")
    assert not mark.exists()
    pickle.loads((tmp_path / "plain.pt").read_bytes())  # the trap works
    assert mark.exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello world\n", bytes(range(256)), b"PK\x03\x04torn"])
def test_damaged_files_end_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read as weights") as caught:
        load_weights(net(), tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none.pt: no such file"):
        load_weights(net(), tmp_path / "none.pt")
