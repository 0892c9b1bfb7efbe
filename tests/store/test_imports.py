"""What a callable is made of: the oracle is Python's own import of the same files, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import pytest

from compress.store import code_version
from compress.store.imports import follow_imports

Write = Callable[[Mapping[str, str]], Path]
LAYOUTS: dict[str, dict[str, str]] = {
    "a file beside it": {"zoo": "import blocks", "blocks": "x = 1", "other": "x = 1"},
    "in a function": {"zoo": "def student():\n    from blocks import conv", "blocks": "conv = 1"},
    "further and further": {"zoo": "import a", "a": "import b", "b": "from c import x", "c": "x = 1"},
    "in a circle": {"zoo": "import a", "a": "import b", "b": "import zoo"},
    "import of a submodule": {"zoo": "import nets.deep.wide", "nets/deep/wide": "", "nets/__init__": "", "nets/x": ""},
    "from package import module": {
        "zoo": "from nets import small",
        "nets/__init__": "import seed",
        "seed": "",
        "nets/small": "",
        "nets/large": "",
    },
    "relative": {
        "zoo": "from nets.deep.wide import x",
        "nets/__init__": "",
        "nets/deep/__init__": "from . import near",
        "nets/deep/near": "from .. import far",
        "nets/deep/wide": "from ..far import x\nfrom .near import far",
        "nets/far": "x = 1",
        "nets/idle": "",
    },
    "star": {"zoo": "from nets import *", "nets/__init__": "__all__ = ['small']", "nets/small": "import y", "y": ""},
    "no __init__": {"zoo": "from nets.small import x", "nets/small": "x = 1"},
    "what is not there": {"zoo": "try:\n    import absent.deep\nexcept ImportError:\n    import blocks", "blocks": ""},
    "Python's own and installed ones": {"zoo": "import json, os.path, numpy.linalg\nfrom yaml import safe_load"},
    "names Python knows": {"zoo": "import nets.json", "nets/__init__": "", "nets/json": ""},
    "of a model of ours": {"zoo": "from compress.models.mobile import mobile_cnn"},
}  # fmt: skip
IMPORTED = """
import json, sys
sys.path.insert(0, sys.argv[1])
import zoo
if hasattr(zoo, "student"):
    zoo.student()
print(json.dumps([n for n, m in sys.modules.items() if str(getattr(m, "__file__", "")).startswith(sys.argv[1])]))
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes modules, by their path without the ending, into a folder that is imported from."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def write_all(files: Mapping[str, str]) -> Path:
        for name, source in files.items():
            path = folder / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return folder

    return write_all


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_python_imports_is_followed(write: Write, name: str) -> None:
    folder = write(LAYOUTS[name])
    command = [sys.executable, "-c", IMPORTED, str(folder)]
    imported = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    found = dict(follow_imports("zoo"))
    assert {module for module, source in found.items() if _lies_in(folder, module, source)} == set(imported)


def _lies_in(folder: Path, module: str, source: bytes) -> bool:
    path = folder / module.replace(".", "/")
    files = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    return [file.read_bytes() for file in files] == [source]


def test_what_is_installed_counts_by_its_version(write: Write) -> None:
    write({"zoo": "import json, numpy.linalg, torch.nn as nn\nfrom yaml import safe_load"})
    found = dict(follow_imports("zoo"))
    expected = {"numpy": version("numpy"), "torch": version("torch"), "yaml": version("PyYAML")}
    assert {name: text.decode() for name, text in found.items() if name != "zoo"} == expected


def test_of_ours_only_the_models_are_followed(write: Write) -> None:
    write({"zoo": "from compress.models.resnet import resnet\nfrom compress.report import html"})
    names = {name for name, _ in follow_imports("zoo")}
    assert {"compress.models", "compress.models.resnet"} <= names
    assert not [name for name in names if name.startswith("compress.") and not name.startswith("compress.models")]
    assert {name for name, _ in follow_imports("compress.models.resnet")} == {
        "compress.models",
        "compress.models.resnet",
        "torch",
    }


@pytest.mark.parametrize("source", ["def broken(:", "x = '\0'", "from ..... import x", "# coding: nonsense"])
def test_what_python_refuses_counts_by_its_bytes(write: Write, source: str) -> None:
    write({"zoo": "import broken", "broken": source})
    assert dict(follow_imports("zoo"))["broken"] == source.encode()


@pytest.mark.parametrize("file", ["zoo", "nets/__init__", "nets/small", "nets/layers"])
def test_a_change_in_any_of_them_changes_the_version(write: Write, file: str) -> None:
    folder = write(
        {"zoo": "from nets import small", "nets/__init__": "", "nets/small": "from .layers import x"}
        | {"nets/layers": "x = 1", "nets/idle": "x = 1"}
    )
    before = code_version("zoo")
    with (folder / "nets/idle.py").open("a") as stream:
        stream.write("# changed\n")
    assert code_version("zoo") == before
    with (folder / f"{file}.py").open("a") as stream:
        stream.write("\n# changed\n")
    assert code_version("zoo") != before


def test_an_installed_callable_counts_with_its_whole_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site-packages"
    (folder / "team").mkdir(parents=True)
    for name in ("__init__", "zoo", "layers"):
        (folder / "team" / f"{name}.py").write_text("x = 1")
    monkeypatch.syspath_prepend(folder)
    before = code_version("team.zoo")
    (folder / "team" / "layers.py").write_text("x = 2")
    assert code_version("team.zoo") != before


def test_nothing_is_imported(write: Write) -> None:
    write({"zoo": "raise RuntimeError\nimport a", "a": "raise RuntimeError"})
    assert {name for name, _ in follow_imports("zoo")} == {"zoo", "a"}
    assert not {"zoo", "a"} & set(sys.modules)
