"""How `auto` chose, from the provenance: what each scheme came to, and why it was chosen or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compress.report.lookup import Lookup
from compress.report.rows import conditions
from compress.report.tables import NOTHING, Cell, Column, Table, Tone, cell
from compress.types import METRICS, Budget, Json
from compress.units import brief, exact

_TONES: Mapping[str, Tone] = {"chosen": "pass", "breaks a limit": "fail", "refused": "missing"}


def choice_table(lookup: Lookup) -> Table:
    """One row a scheme and format, from cheap to costly to make; no rows where nothing was left to choose."""
    found = lookup.results.provenance.get("choice")
    candidates = found["candidates"] if found else ()
    cores = sorted({core for each in candidates for core in each["instructions"]})
    phones = list_phones(lookup)
    columns = (
        Column(key="scheme", title="Scheme", numeric=False),
        Column(key="format", title="Format", numeric=False),
        Column(key="verdict", title="Choice", numeric=False),
        Column(key="accuracy", title="Validation accuracy"),
        Column(key="size", title="Size"),
        *(Column(key=phone, title=f"Predicted {phone}") for phone in phones),
        *(Column(key=core, title=f"Instructions {core}") for core in cores),
        Column(key="reason", title="Reason", numeric=False),
    )
    rows = tuple(row for each in candidates for row in _rows(each, phones, cores))
    return Table(columns=columns, rows=rows, notes=(_reading(found),) if found else (), missing="Nothing was chosen.")


def list_phones(lookup: Lookup) -> list[str]:
    """Those whose predicted latencies decided, by name."""
    found = lookup.results.provenance.get("choice")
    return sorted({phone for each in (found["candidates"] if found else ()) for phone in each.get("predicted_ms", {})})


def _rows(each: Json, phones: Sequence[str], cores: Sequence[str]) -> list[tuple[Cell, ...]]:
    settings = {key: value for key, value in each["config"].items() if key not in ("scheme", "train")}
    name = cell(each["name"], ", ".join(f"{key}: {_written(value)}" for key, value in settings.items()))
    verdict = cell(each["verdict"], tone=_TONES.get(each["verdict"], ""))
    formats: list[str | None] = [*sorted(each["accuracy"])]
    rows = []
    for fmt in formats or [None]:
        predicted = [each.get("predicted_ms", {}).get(phone, {}).get(fmt) for phone in phones]
        counted = [each["instructions"].get(core, {}).get(fmt) for core in cores]
        rows.append(
            (
                name,
                cell(fmt) if fmt else NOTHING,
                verdict,
                cell(exact(each["accuracy"][fmt], "fraction")) if fmt else NOTHING,
                cell(brief(each["size_bytes"][fmt], "bytes")) if fmt else NOTHING,
                *(NOTHING if number is None else cell(brief(number, "ms")) for number in predicted),
                *(NOTHING if number is None else cell(brief(number, "count")) for number in counted),
                cell(each["reason"]),
            )
        )
    return rows


def _reading(found: Json) -> str:
    limits = dict.fromkeys(_limit(Budget(**each)) for each in found["limits"])
    return (
        f"Accuracy on {found['images']:,} images of the validation split, on the host; no test image took part."
        f" Limits there: {'; '.join(limits)}. A scheme costs the geometric mean, over phones and formats, of its"
        " predicted latency as a multiple of float32's; where no phone is named, over cores, of its instructions; where"
        " none were counted, of its bytes. Within 1 %, of latencies 5 %, it is the same."
    )


def _limit(budget: Budget) -> str:
    limit = budget.at_most if budget.at_most is not None else budget.at_least
    assert limit is not None
    unit = "ratio" if budget.relative_to else METRICS[budget.metric]
    sign, rest = "≤" if budget.at_most is not None else "≥", conditions(budget)
    return f"{budget.metric} {sign} {exact(limit, unit)}" + (f" ({rest})" if rest else "")


def _written(value: Json) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
