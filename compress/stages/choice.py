"""Which of the schemes that `auto` tried is the best, and why, in words. Nothing is run here; choose.py does.

- A scheme costs the geometric mean, over all phones and formats, of its predicted latency as a multiple of float32's.
- Where no phone is named, over all cores and formats, of its instructions; where none were counted, of its bytes.
- Costs within 1 % are equal, because ONNX Runtime's counts vary, and predicted latencies within 5 %, because those of
  several threads vary more; then bytes decide, and then the order below.
- Where none keeps the limits: of those that are accurate enough the one that breaks them least, else the most accurate.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from compress.types import Json

What = Literal["predicted milliseconds", "instructions", "bytes"]
EQUAL: Mapping[What, float] = {"predicted milliseconds": 1.05, "instructions": 1.01, "bytes": 1.01}
REPAIRED = "static_int8 repaired"
SCHEMES: Mapping[str, Json] = {
    "float32": {"scheme": "float32"},
    "float16": {"scheme": "float16"},
    "dynamic_int8": {"scheme": "dynamic_int8"},
    "weight_only_int8": {"scheme": "weight_only_int8"},
    "static_int8": {"scheme": "static_int8"},
    REPAIRED: {"scheme": "static_int8", "rounding": "learnt", "bias_correction": "calibrated"},
    "mixed_int8": {"scheme": "mixed_int8"},
    "qat_int8": {"scheme": "qat_int8"},
}
"""Name -> entry of a recipe, from cheap to costly to make; the last two lack what depends on the run."""

ACCURACY = ("accuracy", "accuracy_drop", "macro_f1", "agreement")
_MENDING = (REPAIRED, "mixed_int8", "qat_int8")
_FORMATS = {"onnx": "ONNX", "tflite": "TFLite"}


class Broken(NamedTuple):
    """A limit that is broken, in words, and by what share of it."""

    metric: str
    words: str
    excess: float


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What became of one scheme.

    name: a key of SCHEMES.
    config: the recipe's entry that makes it.
    accuracy, size_bytes: format -> of its file; the accuracy is that on the validation split, on the host.
    instructions: core -> format -> of one inference.
    predicted_ms: phone -> format -> of one inference.
    broken: each limit that it breaks.
    unjudged: each limit that nothing before the choice could judge.
    refused: why it could not be made or run; empty where it was measured.
    left_out: why it was not tried; empty where it was.
    """

    name: str
    config: Json
    accuracy: Mapping[str, float] = field(default_factory=dict)
    size_bytes: Mapping[str, int] = field(default_factory=dict)
    instructions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    predicted_ms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    broken: tuple[Broken, ...] = ()
    unjudged: tuple[str, ...] = ()
    refused: str = ""
    left_out: str = ""

    @property
    def measured(self) -> bool:
        """Whether it can be chosen at all."""
        return not self.refused and not self.left_out

    @property
    def keeps(self) -> bool:
        """Whether it can be chosen and keeps all limits that could be judged."""
        return self.measured and not self.broken

    @property
    def accurate(self) -> bool:
        """Whether it can be chosen and breaks no limit on accuracy."""
        return self.measured and not any(each.metric in ACCURACY for each in self.broken)

    @property
    def limits(self) -> str:
        """Which limits are meant where it is said to keep them."""
        return "the limits that could be judged" if self.unjudged else "the limits"

    @property
    def verdict(self) -> str:
        """In a few words."""
        if not self.measured:
            return "not tried" if self.left_out else "refused"
        return "breaks a limit" if self.broken else f"keeps {self.limits}"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a scheme needs, as a multiple of float32's.

    places: each phone or core and format, such as `on cortex-a53 in ONNX` -> the multiple there; at least one.
    """

    what: What
    places: Mapping[str, float]

    @property
    def ratio(self) -> float:
        """The geometric mean."""
        return math.prod(self.places.values()) ** (1 / len(self.places))

    @property
    def dearest(self) -> str:
        """The place with the largest multiple."""
        return max(self.places, key=lambda place: self.places[place])

    def at(self, place: str) -> str:
        """`1.40 times the instructions of float32 on cortex-a53 in ONNX`."""
        return f"{self.places[place]:.2f} times the {self.what} of float32 {place}"

    def __str__(self) -> str:
        """The same of the only place, or of the mean."""
        if len(self.places) == 1:
            return self.at(self.dearest)
        return f"{self.ratio:.2f} times the {self.what} of float32 on average"


def find_cost(each: Tried, float32: Tried) -> Cost:
    """What a scheme that was measured costs."""
    if predicted := _divide(each.predicted_ms, float32.predicted_ms):
        return Cost(what="predicted milliseconds", places=predicted)
    if counted := _divide(each.instructions, float32.instructions):
        return Cost(what="instructions", places=counted)
    stored = {f"in {_FORMATS[fmt]}": size / float32.size_bytes[fmt] for fmt, size in each.size_bytes.items()}
    return Cost(what="bytes", places=stored)


def _divide(found: Mapping[str, Mapping[str, float]], float32: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {
        f"on {place} in {_FORMATS[fmt]}": number / float32[place][fmt]
        for place, numbers in found.items()
        for fmt, number in numbers.items()
        if fmt in float32.get(place, {})
    }


def pick(tried: Sequence[Tried]) -> Tried:
    """The one that costs least of those that keep the limits; where none does, see the top of this file.

    Args:
        tried: float32 first; it was measured, or died on a core.
    """
    measured = [each for each in tried if each.measured]
    keeping = [each for each in measured if each.keeps]
    if not keeping:
        if accurate := [each for each in measured if each.accurate]:
            return min(accurate, key=lambda each: max(broken.excess for broken in each.broken))
        return max(measured or tried[:1], key=lambda each: min(each.accuracy.values()))
    costs = [find_cost(each, tried[0]) for each in keeping]
    least_cost = min(cost.ratio for cost in costs)
    cheap = [each for each, cost in zip(keeping, costs, strict=True) if cost.ratio <= least_cost * EQUAL[cost.what]]
    least = min(_bytes(each) for each in cheap)
    return next(each for each in cheap if _bytes(each) <= least * EQUAL["bytes"])


def find_reason_to_skip(name: str, tried: Sequence[Tried]) -> str:
    """Why a scheme need not be tried after these; empty if it must.

    Repairs, mixed_int8 and qat_int8 give accuracy back, and neither bytes nor instructions: each is tried only while
    accuracy is all that static_int8 lacks; and those with its very operators only if it would be chosen with it.
    """
    by_name = {each.name: each for each in tried}
    if name == "weight_only_int8" and not by_name["dynamic_int8"].accuracy:  # refused, and not for what a core lacks
        return "as dynamic_int8, it stores linear layers and embeddings, which do little of this network's work"
    if name not in _MENDING:
        return ""
    static, float32 = by_name["static_int8"], tried[0]
    if static.refused:
        return "it is static_int8 with other integers, and that was refused"
    if enough := next((each for each in tried if each.keeps and each.name in ("static_int8", REPAIRED)), None):
        return f"it would only be more accurate, and {enough.name} keeps the limits"
    if lost := next((each.words for each in static.broken if each.metric not in ACCURACY), None):
        return f"it mends accuracy alone, and of static_int8 {lost}"
    if name != "qat_int8" and float32.measured and not float32.accurate:
        return "it comes nearer to float32, which breaks a limit on accuracy itself"
    accurate = dataclasses.replace(static, broken=())
    rival = pick([*tried, accurate])
    if name != "mixed_int8" and rival is not accurate:
        cost = find_cost(static, float32)
        return f"it has the operators of static_int8, which need {cost}, and {rival.name} needs no more"
    return ""


def give_reason(each: Tried, chosen: Tried, tried: Sequence[Tried]) -> str:
    """Why one scheme was chosen, or another instead of it."""
    if not each.measured:
        return each.left_out or each.refused
    if each.broken:
        broken = "; ".join(limit.words for limit in each.broken)
        return f"{_least_evil(each)}, for none keeps all limits: {broken}" if each is chosen else broken
    cost, least = find_cost(each, tried[0]), find_cost(chosen, tried[0])
    if each is chosen:
        return f"the cheapest that keeps {each.limits}" + ("" if each is tried[0] else f": {cost}")
    needs_more = cost.ratio > least.ratio * EQUAL[cost.what]
    if needs_more and each is tried[0]:
        return f"{chosen.name} needs less: {least}"
    if needs_more:
        return f"needs {cost}; {chosen.name} {least.ratio:.2f} times"
    if _bytes(each) > _bytes(chosen) * EQUAL["bytes"]:
        return f"needs as many {cost.what} as {chosen.name}, and more bytes"
    return f"as {chosen.name}, which is easier to make"


def conclude(chosen: Tried, tried: Sequence[Tried]) -> tuple[str, ...]:
    """The choice in a sentence, and one for each int8 that is accurate enough and loses to float32 somewhere."""
    if chosen.broken or not chosen.measured:
        why = chosen.refused or "; ".join(limit.words for limit in chosen.broken)
        return (f"auto chose {chosen.name}, {_least_evil(chosen)}, for no scheme keeps all limits: {why}.",)
    keeping = [each for each in tried if each.keeps]
    among = f"the cheapest of {len(keeping)} schemes that keep" if len(keeping) > 1 else "which alone keeps"
    later = f"Whether it keeps {', '.join(chosen.unjudged)}, the verdict says: nothing could tell before the choice."
    cost = "" if chosen is tried[0] else f": {find_cost(chosen, tried[0])}"
    losses = (_tell_loss(each, chosen, tried[0]) for each in keeping if "int8" in each.name)
    return (
        f"auto chose {chosen.name}, {among} {chosen.limits}{cost}.",
        *filter(None, (later if chosen.unjudged else "", *losses)),
    )


def _least_evil(chosen: Tried) -> str:
    return "which breaks them least" if chosen.accurate else "the most accurate"


def _tell_loss(each: Tried, chosen: Tried, float32: Tried) -> str:
    """Where it needs more than float32, if it was chosen all the same, or was not for that reason."""
    cost = find_cost(each, float32)
    lost, several = f"{each.name} needs {cost.at(cost.dearest)}", len(cost.places) > 1
    if each is chosen:
        return f"{lost}, and less elsewhere." if several and cost.places[cost.dearest] > EQUAL[cost.what] else ""
    mean = f", {cost.ratio:.2f} times on average" if several else ""
    return f"{lost}{mean}, so {chosen.name} was chosen." if cost.ratio > EQUAL[cost.what] else ""


def _bytes(each: Tried) -> int:
    return sum(each.size_bytes.values())
