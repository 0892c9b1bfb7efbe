"""What may be handed to `ssh` as a destination."""

from __future__ import annotations

import pytest

from compress.errors import RecipeError
from compress.targets.ssh import SshDevice, find_destination_fault, open_device


@pytest.mark.parametrize("destination", ["pi@raspberry", "pi", "pi4.local", "me@10.0.0.7", "u0_a1@phone", "pi@fe80::1"])
def test_destinations(destination: str) -> None:
    assert find_destination_fault(destination) is None


@pytest.mark.parametrize(
    "destination",
    [
        "",
        "-oProxyCommand=id",
        "pi@-oProxyCommand=id",
        "a b",
        "pi@",
        "@pi",
        "pi;id",
        "$(id)",
        "pi\n",
        "pi@ras%h",
        "ssh://pi",
    ],
)
def test_what_is_no_destination_never_reaches_ssh(destination: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.Popen", None)
    assert "is no ssh destination, expected user@host" in str(find_destination_fault(destination))
    with pytest.raises(RecipeError, match=r"target pi4: .* is no ssh destination"):
        open_device(SshDevice(name="pi4", destination=destination))


def test_a_port_has_a_key_of_its_own() -> None:
    assert "'pi@raspberry:2222' holds a port" in str(find_destination_fault("pi@raspberry:2222"))
