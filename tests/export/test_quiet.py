"""Silence on every channel, and speech again afterwards."""

from __future__ import annotations

import logging
import os
import sys
import warnings

import pytest

from compress.export.quiet import quiet


def speak(word: str) -> None:
    print(word)
    print(word, file=sys.stderr)
    os.write(1, word.encode())
    os.write(2, word.encode())
    logging.getLogger("anything").error(word)
    warnings.warn(word, stacklevel=1)


def fail_in_silence() -> None:
    with quiet():
        speak("inside")
        raise KeyError


@pytest.mark.filterwarnings("always")
def test_nothing_comes_through_and_everything_comes_back(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyError):
        fail_in_silence()
    with pytest.warns(UserWarning, match="after"):
        speak("after")
    out, err = capfd.readouterr()
    assert "inside" not in out + err + caplog.text
    assert (out.count("after"), err.count("after"), caplog.text.count("after")) == (2, 2, 1)
