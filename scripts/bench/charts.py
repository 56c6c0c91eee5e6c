"""Draw the charts of docs/performance.md as SVG files, which are reproducible."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from scripts.bench.results import LIMIT, PROJECT, Result, speedup
from scripts.core.paths import ROOT

CHARTS = {
    "rebuild": ROOT / "docs" / "performance-rebuild.svg",
    LIMIT: ROOT / "docs" / "performance-limit.svg",
    "fresh": ROOT / "docs" / "performance-fresh.svg",
}
_COLOURS = {
    "before": "#9aa5b1",
    "registry": "#b08d57",
    "adr": "#5b7db1",
    PROJECT: "#2f7d5b",
    LIMIT: "#1f2933",
}
_PARTS = {
    "configure": "#5b7db1",
    "link": "#b08d57",
    "install": "#9aa5b1",
    "export": "#1f2933",
    "rest": "#2f7d5b",
}
_FRESH = {"load": "#b08d57", "build": "#2f7d5b"}
_INK, _FAINT, _GROUND = "#1f2933", "#d5dbe1", "#ffffff"

Rows = Mapping[str, Mapping[str, Result]]
"""Results by scenario and contender."""


def seconds(result: Result | None) -> str:
    """Return the median duration of a result, or an empty string."""
    return seconds_text(result.value) if result else ""


def seconds_text(value: float) -> str:
    """Return a duration such as `4.2 s` or `120 s`."""
    return f"{value:.{0 if value >= 99.5 else 1}f} s"  # noqa: PLR2004


def ratio(factor: float | None) -> str:
    """Return a ratio such as `4.2x`, or an empty string."""
    return f"{factor:.{0 if factor >= 9.95 else 1}f}x" if factor else ""  # noqa: PLR2004


def draw_rebuilds(groups: Rows, titles: Mapping[str, str], order: Sequence[str]) -> None:
    """Draw the durations as groups of bars: a group per scenario, a bar per contender."""
    shown = [name for name in order if any(name in row for row in groups.values())]
    placed: list[tuple[float, str, Result, str]] = []
    centres: list[float] = []
    y = 0.0
    for row in groups.values():
        first = y
        for contender in (name for name in shown if name in row):
            placed.append((y, contender, row[contender], _bar_label(row, contender)))
            y += 1.0
        centres.append((first + y - 1) / 2)
        y += 0.8
    figure, axes = _empty(y, _row_labels(groups, titles), centres)
    for height, contender, result, label in placed:
        axes.barh(height, result.value, 0.86, color=_COLOURS[contender])
        axes.text(result.value * 1.06, height, label, va="center", fontsize=8.5, color=_INK)
    values = [result.value for _, _, result, _ in placed]
    axes.set_xscale("log")
    axes.set_xticks([1, 10, 100, 1000], ["1 s", "10 s", "100 s", "1000 s"], color=_INK)
    axes.minorticks_off()
    axes.set_xlim(min(0.5, min(values) / 1.5), max(values) * 5)
    colours = {name: _COLOURS[name] for name in shown}
    _save(CHARTS["rebuild"], figure, axes, "seconds to the finished image, less is better", colours)


def draw_limits(pairs: Rows, titles: Mapping[str, str]) -> None:
    """Draw the durations of the project's rebuilds, split into the limit and the rest."""
    centres = [float(number) for number in range(len(pairs))]
    figure, axes = _empty(2 * len(pairs), _row_labels(pairs, titles), centres)
    for height, row in zip(centres, pairs.values(), strict=True):
        project, limit = row[PROJECT], row[LIMIT]
        lengths = {name: values[0] for name, values in limit.stages.items()}
        lengths["rest"] = max(0.0, project.value - limit.value)
        left = 0.0
        for name, length in lengths.items():
            axes.barh(height, length, 0.6, left=left, color=_PARTS[name])
            left += length
        label = f" {seconds(project)}, {ratio(speedup(project, limit))} the limit"
        axes.text(left * 1.01, height, label, va="center", fontsize=9, color=_INK)
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.set_xlim(0, max(row[PROJECT].value for row in pairs.values()) * 1.25)
    label = "seconds of the project's rebuild; all but `rest` is the limit"
    _save(CHARTS[LIMIT], figure, axes, label, _PARTS)


def draw_fresh(rows: Sequence[tuple[str, float, float]]) -> None:
    """Draw a bar for each label, with the seconds of a load and of the build after it."""
    centres = [float(number) for number in range(len(rows))]
    figure, axes = _empty(1.6 * len(rows), [label for label, _, _ in rows], centres)
    for height, (_, load, built) in zip(centres, rows, strict=True):
        axes.barh(height, load, 0.6, color=_FRESH["load"])
        axes.barh(height, built, 0.6, left=load, color=_FRESH["build"])
        label = f" {seconds_text(load + built)}"
        axes.text(load + built, height, label, va="center", fontsize=9, color=_INK)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, max(load + built for _, load, built in rows) * 1.15)
    _save(CHARTS["fresh"], figure, axes, "seconds from an empty machine to the image", _FRESH)


def _row_labels(groups: Rows, titles: Mapping[str, str]) -> list[str]:
    return [f"{titles[name]}\n{next(iter(row.values())).target}" for name, row in groups.items()]


def _bar_label(row: Mapping[str, Result], contender: str) -> str:
    """Return the label of a bar: its duration and the ratio to the project's duration."""
    result, project = row[contender], row.get(PROJECT)
    factor = speedup(result, project)
    if contender == PROJECT or factor is None:
        return seconds(result)
    if contender == LIMIT:
        return f"{seconds(result)}, {PROJECT} takes {ratio(speedup(project, result))}"
    return f"{seconds(result)}, {ratio(factor)} {PROJECT}"


def _empty(height: float, labels: Sequence[str], centres: Sequence[float]) -> tuple[Figure, Axes]:
    """Return an empty chart with a label on the left of each centre."""
    mpl.rcParams["svg.hashsalt"] = "vmaf-images"  # makes the file reproducible
    mpl.rcParams["svg.fonttype"] = "none"
    figure, axes = plt.subplots(figsize=(10.5, 1.3 + 0.27 * height), facecolor=_GROUND)
    axes.set_facecolor(_GROUND)
    axes.set_yticks(centres, labels, fontsize=9, color=_INK)
    axes.set_ylim(height - 0.8, -1)
    return figure, axes


def _save(path: Path, figure: Figure, axes: Axes, label: str, colours: Mapping[str, str]) -> None:
    """Add the grid and the legend to a chart, and write the file."""
    axes.set_xlabel(label, color=_INK)
    axes.grid(axis="x", color=_FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=_INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.legend(
        handles=[Patch(color=colour, label=name) for name, colour in colours.items()],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(colours),
        frameon=False,
        labelcolor=_INK,
    )
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None}, facecolor=_GROUND)
    plt.close(figure)
