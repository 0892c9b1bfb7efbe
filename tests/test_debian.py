"""Debian archives out of the system's apt sources, in both of apt's formats; and what becomes of a package."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compress import debian
from compress.debian import fetch_packages
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


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `thing` with the file /usr/share/thing that a mirror offers, without a network; returns that file."""
    source = tmp_path / "source"
    (source / "DEBIAN").mkdir(parents=True)
    (source / "DEBIAN/control").write_text(
        "Package: thing\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: a\n"
    )
    (source / "usr/share").mkdir(parents=True)
    (source / "usr/share/thing").write_text("good")

    def download(packages: list[str], folder: Path, _release: str) -> list[Path]:
        subprocess.run(["dpkg-deb", "--build", source, folder / "thing.deb"], check=True, capture_output=True)
        assert packages == ["thing"]
        return [folder / "thing.deb"]

    monkeypatch.setattr(debian, "download", download)
    return source / "usr/share/thing"


def fault_of(folder: Path) -> str | None:
    return None if (folder / "usr/share/thing").read_text() == "good" else "it is bad; fetch it"


def test_a_package_is_fetched_once_and_a_damaged_one_put_aside(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "home" / "thing"
    file = folder / "usr/share/thing"
    fetch_packages(["thing"], folder, fault_of)
    mirror.write_text("other")
    fetch_packages(["thing"], folder, fault_of)
    assert file.read_text() == "good"
    assert capsys.readouterr().err == ""
    for time in (1, 2):
        file.write_text(f"bad {time}")
        mirror.write_text("good")
        fetch_packages(["thing"], folder, fault_of)
        aside = folder.with_name(f"thing.damaged-{time}")
        assert (file.read_text(), (aside / "usr/share/thing").read_text()) == ("good", f"bad {time}")
        assert capsys.readouterr().err == f"it is bad; fetch it; done, what was there is in {aside}\n"
    assert sorted(path.name for path in folder.parent.glob("[!.]*")) == ["thing", "thing.damaged-1", "thing.damaged-2"]


def test_what_is_damaged_stays_where_nothing_can_be_fetched(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home" / "thing"
    fetch_packages(["thing"], folder, fault_of)
    (folder / "usr/share/thing").write_text("bad")

    def fail(*_: object) -> list[Path]:
        raise ToolError("no mirror")

    monkeypatch.setattr(debian, "download", fail)
    with pytest.raises(ToolError, match="no mirror"):
        fetch_packages(["thing"], folder, fault_of)
    assert (folder / "usr/share/thing").read_text() == "bad"
    assert [path.name for path in folder.parent.glob("[!.]*")] == ["thing"]
    assert mirror.exists()
