"""What a validation found, on a terminal."""

from __future__ import annotations

from compress.types import Json

_LEFT_OUT = {"family": "family", "chip": "chip", "core": "f. + core", "macs": "alone"}
"""What stands above the columns."""


_TITLES = {
    "family": "family left out",
    "chip": "chip left out",
    "core": "family and core left out",
    "macs": "family, by MACs alone",
}


def show(report: Json) -> None:
    """Every row, what was left out of them and why, and what the errors come to."""
    _show_rows(report["rows"])
    print("\nrows that do not count:")
    for why, number in report["excluded"].items():
        print(f"{number:>6} {why}")
    _show_errors(report["figures"])
    _show_phones(report["phones"])
    print("\nrate: value (least to most of the fits that left something out)")
    for name, rate in report["rates"].items():
        print(f"  {name:22}{rate['value']:>10,.5g} ({rate['least']:,.5g} to {rate['most']:,.5g})")
    fitted = report["fitted"]
    for threads in ("one_thread", "several_threads"):
        factors = ", ".join(f"{name} {factor:.3f}" for name, factor in fitted[threads].items())
        print(f"  intervals, {threads.replace('_', ' ')}: {factors}")
    print()
    for target in report["targets"]:
        limit = f"at most {target['at_most']:g}" if "at_most" in target else f"at least {target['at_least']:g}"
        print(f"{'kept  ' if target['kept'] else 'MISSED'} {target['what']}: {target['seen']:.3f}, asked {limit}")


def _show_rows(rows: Json) -> None:
    print(f"{'error of the prediction without its':>120}{'MACs':>10}")
    print(f"{'network':38}{'place':40}{'published':>12}" + "".join(f"{head:>10}" for head in _LEFT_OUT.values()))
    for row in rows:
        errors = [row["errors"][name] for name in _LEFT_OUT]
        cells = ["–" if error is None else f"{error:+.1%}" for error in errors]
        print(
            f"{row['network']:38}{row['place']:40}{row['published_ms']:9.1f} ms"
            + "".join(f"{cell:>10}" for cell in cells)
        )


def _show_errors(figures: Json) -> None:
    print("\nmean absolute error, and the worst")
    heads = [f"{name} ({each['rows']})" for name, each in figures["left_out"]["family"].items()]
    print(f"{'':26}" + "".join(f"{head:>28}" for head in heads))
    for left_out, found in figures["left_out"].items():
        title = _TITLES[left_out]
        cells = [f"{each['mape']:.1%} ({each['worst']:+.0%})" for each in found.values()]
        print(f"  {title:24}" + "".join(f"{cell:>28}" for cell in cells))
    ratios = figures["ratios"]
    print(f"\nratio of two networks in one place: {ratios['family']:.1%}, by MACs alone {ratios['macs']:.1%}")
    print(f"ratio of int8 to float32: {figures['int8_ratios']:.1%}")
    for place, coefficient in figures["spearman"].items():
        print(f"Spearman, {place}: {coefficient:.2f}")
    for name, shares in figures["coverage"].items():
        held = ", ".join(f"{of} {value:.1%}" for of, value in shares.items())
        print(f"90 % intervals that hold, {_TITLES[name]}: {held}")


def _show_phones(pairs: Json) -> None:
    print("\ntimes as fast, by another runtime and as predicted")
    for pair in pairs:
        factors = f"{pair['published']:6.2f}{pair['predicted']:6.2f}{pair['error']:+8.1%}"
        print(f"  {pair['network']:38}{pair['phones']:22}{factors}  {pair['source'].rpartition(', ')[2]}")
    errors = [abs(pair["error"]) for pair in pairs]
    print(f"  mean absolute error {sum(errors) / len(errors):.1%}, at most {max(errors):.1%}")
