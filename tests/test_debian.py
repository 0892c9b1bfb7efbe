"""Debian archives out of the system's apt sources, in both of apt's formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from compress.debian.apt import read_sources
from compress.errors import ToolError

MIRROR = "http://mirror.example/debian"

CASES = [
    pytest.param(
        {"sources.list": f"deb {MIRROR} bookworm main contrib # comment\ndeb-src {MIRROR} bookworm main\n"},
        f"Types: deb\nURIs: {MIRROR}\nSuites: bookworm\nComponents: main\n",
        id="one line",
    ),
    pytest.param(
        {"sources.list.d/a.list": f"deb [arch=amd64 signed-by=/k.gpg] {MIRROR} trixie main\n"},
        f"Types: deb\nURIs: {MIRROR}\nSuites: bookworm\nComponents: main\nSigned-By: /k.gpg\n",
        id="options, another release",
    ),
    pytest.param(
        {"sources.list": f"deb {MIRROR}-security buster/updates main\n"},
        f"Types: deb\nURIs: {MIRROR}-security\nSuites: bookworm-security\nComponents: main\n",
        id="security of old releases",
    ),
    pytest.param(
        {
            "sources.list.d/debian.sources": (
                f"Types: deb deb-src\n# a comment\nuris: {MIRROR}\nSuites: bookworm bookworm-updates "
                "bookworm-backports\nComponents: main non-free\nArchitectures: amd64\nSigned-By:\n KEY\n .\n LINE\n"
            )
        },
        f"Types: deb\nURIs: {MIRROR}\nSuites: bookworm bookworm-updates\nComponents: main\n"
        "Signed-By: \n KEY\n .\n LINE\n",
        id="deb822 with a key in it",
    ),
    pytest.param(
        {
            "sources.list": "deb http://other.example/tool stable main\ndeb http://other.example/debian bookworm tool\n"
            "deb cdrom:[Debian]/ bookworm main\n",
            "sources.list.d/cloud.sources": (
                "Types: deb\nURIs: mirror+file:/etc/apt/mirrors/debian.list\nSuites: bookworm\nComponents: main\n\n"
                f"Enabled: no\nTypes: deb\nURIs: {MIRROR}\nSuites: bookworm\nComponents: main\n"
            ),
        },
        "Types: deb\nURIs: mirror+file:/etc/apt/mirrors/debian.list\nSuites: bookworm\nComponents: main\n",
        id="others are left out",
    ),
]


@pytest.mark.parametrize(("files", "expected"), CASES)
def test_read_sources(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert read_sources(tmp_path, "bookworm") == expected


def test_no_debian_archive(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://mirror.example/ubuntu noble main\n")
    with pytest.raises(ToolError, match="no Debian archive among the package sources"):
        read_sources(tmp_path, "bookworm")
