"""Downloads Debian packages through the system's own apt, without root and without touching the system's state.

Mirrors and keys come from the system's apt sources, so no host is named here and a local mirror is honoured. All else
(package lists, cache, dpkg status) is private and thrown away.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from compress.debian.commands import require, run
from compress.errors import ToolError

ETC = Path("/etc/apt")
RELEASES = "buster|bullseye|bookworm|trixie|forky|oldoldstable|oldstable|stable|testing|unstable|sid"
SUITE = re.compile(rf"(?:{RELEASES})(-updates|-security|/updates)?")
LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)")

Stanza = dict[str, str]


def read_sources(etc: Path, release: str) -> str:
    """The system's Debian archives as one deb822 text, all turned to one release.

    Args:
        etc: apt's configuration folder; both its .list and its .sources files are read.
        release: code name, e.g. `bookworm`.

    Returns:
        Stanzas with the mirrors and keys of the system, component `main`.

    Raises:
        ToolError: no source is a Debian archive.
    """
    stanzas: list[Stanza] = []
    for path in sorted([etc / "sources.list", *etc.glob("sources.list.d/*.list")]):
        if path.is_file():
            stanzas += _parse_list(path.read_text(encoding="utf-8"))
    for path in sorted(etc.glob("sources.list.d/*.sources")):
        stanzas += _parse_deb822(path.read_text(encoding="utf-8"))
    turned = [turned for stanza in stanzas if (turned := _turn(stanza, release))]
    if not turned:
        raise ToolError(f"no Debian archive among the package sources in {etc}, expected one to download from; add one")
    return "\n".join("".join(f"{key}: {value}\n" for key, value in stanza.items()) for stanza in turned)


def download(packages: Sequence[str], folder: Path, release: str, etc: Path = ETC) -> list[Path]:
    """Download packages (`name:architecture`) into a folder; apt checks their signatures.

    Returns:
        The .deb files.

    Raises:
        ToolError: apt-get is missing, or could not download one of them.
    """
    apt_get = require("apt-get", "to download Debian packages")
    state = folder / "apt"
    for part in ("state/lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True)
    (state / "status").touch()
    (state / "debian.sources").write_text(read_sources(etc, release), encoding="utf-8")
    (state / "apt.conf").write_text(_configure(state), encoding="utf-8")
    command = [apt_get, "-q", "-c", str(state / "apt.conf")]
    trouble = None
    try:
        run([*command, "update"], purpose="read the lists of Debian packages", folder=folder)
    except ToolError as error:
        trouble = error  # one mirror of several may be gone; whether it matters, the download tells
    try:
        run([*command, "download", *packages], purpose="download Debian packages", folder=folder)
    except ToolError as error:
        raise trouble or error from error
    return sorted(folder.glob("*.deb"))


def _configure(state: Path) -> str:
    hooks = "".join(
        f"#clear {name};\n"
        for name in (
            "APT::Update::Pre-Invoke",
            "APT::Update::Post-Invoke",
            "APT::Update::Post-Invoke-Success",
            "DPkg::Post-Invoke",
        )
    )
    return f"""{hooks}#clear APT::Architectures;
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; "arm64"; }};
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Dir::State "{state}/state";
Dir::State::status "{state}/status";
Dir::Cache "{state}/cache";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Etc::sourcelist "{state}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"""


def _parse_list(text: str) -> list[Stanza]:
    """Stanzas of the one-line format: `deb [signed-by=KEY arch=amd64] URI SUITE COMPONENT ...`."""
    stanzas = []
    for line in text.splitlines():
        if match := LINE.fullmatch(line.partition("#")[0].strip()):
            stanza = {"Types": "deb", "URIs": match["uri"], "Suites": match["suite"], "Components": match["components"]}
            options = dict(option.split("=", 1) for option in (match["options"] or "").split() if "=" in option)
            if "signed-by" in options:
                stanza["Signed-By"] = options["signed-by"].replace(",", " ")
            if "trusted" in options:
                stanza["Trusted"] = options["trusted"]
            stanzas.append(stanza)
    return stanzas


def _parse_deb822(text: str) -> list[Stanza]:
    """Stanzas of the deb822 format; a value keeps its continuation lines, such as a key's."""
    stanzas: list[Stanza] = [{}]
    key = ""
    for line in text.splitlines():
        if not line.strip():
            stanzas.append({})
        elif line.startswith("#"):
            continue
        elif line[0] in " \t":
            stanzas[-1][key] += f"\n{line}"
        elif ":" in line:
            key, value = line.split(":", 1)
            key = next((known for known in KEYS if known.lower() == key.lower()), key)
            stanzas[-1][key] = value.strip()
    return [stanza for stanza in stanzas if stanza]


KEYS = ("Types", "URIs", "Suites", "Components", "Enabled", "Signed-By", "Trusted")


def _turn(stanza: Stanza, release: str) -> Stanza | None:
    """The same archive at another release; None where the stanza is no Debian archive with a `main` component."""
    archive = "debian" in stanza.get("URIs", "") or stanza.get("URIs", "").startswith("mirror")
    offered = (
        "deb" in stanza.get("Types", "").split()
        and stanza.get("Enabled", "yes").lower() not in ("no", "false", "0")
        and "main" in stanza.get("Components", "").split()
    )
    matches = [match for suite in stanza.get("Suites", "").split() if (match := SUITE.fullmatch(suite))]
    if not (archive and offered and matches):
        return None
    suites = [release + (match[1] or "").replace("/updates", "-security") for match in matches]
    turned = {"Types": "deb", "URIs": stanza["URIs"], "Suites": " ".join(dict.fromkeys(suites)), "Components": "main"}
    return turned | {key: stanza[key] for key in ("Signed-By", "Trusted") if key in stanza}
