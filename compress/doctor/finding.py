"""What the doctor says of one piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "absent"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the diagnosis.

    state: `ok`; `missing`: nothing works without it, or it was asked for; `absent`: the rest works, `text` says what
        does not.
    """

    name: str
    state: State
    text: str
