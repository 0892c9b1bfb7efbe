"""With what a comparing measurement compares. This table is the meaning of those metrics, in recipes and reports:

    of                                  metrics                                   against
    a file on the host                  max_abs_difference, sqnr_db, bit_exact    `torch`: the graph it was written from
    a file on a core or a device        max_abs_difference, sqnr_db, bit_exact    `host`: the same file on the host
    a file on the host                  agreement                                 `other_format`: the same graph's file
    a variant on the host               all four of these                         `source`: the file it is made from
    a .tflite file on tflite-runtime    compatible                                `litert`: the same file, on the host
    a student's file or weights         accuracy_drop                             `teacher`: in the same format
    the student's weights               agreement, gap_recovered                  `teacher`: its weights

So a budget's artifact and target decide what it is held against, and no two comparisons share a metric, an artifact
and a target. Every comparing measurement says it in `details`: `against`, one of the words above, and
`compared_with`, a name for people; and `reference`, the sha256, says it to programs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from compress.types import Json

Against = Literal["torch", "host", "other_format", "source", "litert", "teacher"]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What something is compared with; the fields are those of the module's docstring."""

    against: Against
    sha256: str
    name: str

    def details(self) -> dict[str, Json]:
        """What a measurement keeps of it beside the sha256."""
        return {"against": self.against, "compared_with": self.name}
