"""The plots of the report, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from bench.goals import Row
from bench.growth import Growth, Point

# The same numbers give the same file.
mpl.rcParams |= {"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9}

STACK, BARE, MISSED = "tab:blue", "tab:gray", "tab:red"

PANELS: dict[str, Callable[[Point], float]] = {
    "start to first answer, s": lambda point: point.start,
    "memory of one worker, MB": lambda point: point.megabytes,
    "request to the last route, ms": lambda point: 1000 * point.last,
    "404, ms": lambda point: 1000 * point.missing,
}


def plot_growth(growth: Growth, file: Path) -> None:
    """What more and more plugins cost, in four panels; both axes are logarithmic."""
    canvas = Canvas(figsize=(8, 5.6), layout="constrained")
    for axes, (title, value) in zip(canvas.subplots(2, 2).flat, PANELS.items(), strict=True):
        axes.loglog(growth.plugins, [value(point) for point in growth.bare], "o--", color=BARE, label="bare FastAPI")
        axes.loglog(growth.plugins, [value(point) for point in growth.stack], "o-", color=STACK, label="opa-stack")
        axes.set_title(title)
        axes.set_xlabel(f"plugins of {growth.routes} routes")
        axes.set_xticks(growth.plugins, [f"{number:,}" for number in growth.plugins])
        axes.minorticks_off()
        _whole_decades(axes)
        axes.grid(alpha=0.3)
        axes.legend()
    _save(canvas, file)


def plot_goals(rows: Sequence[Row], file: Path) -> None:
    """How much of what each goal allows is used; a bar beyond the line is a goal that is missed."""
    figures = [(row, figure) for row in rows for figure in row.figures]
    canvas = Canvas(figsize=(8, 0.4 * len(figures) + 1), layout="constrained")
    axes = canvas.subplots()
    names = [f"{row.work}: {figure.name}".replace("`", "") for row, figure in figures]
    colors = [STACK if figure.is_reached else MISSED for _, figure in figures]
    places = range(len(figures))
    used = [max(0.0, figure.used) for _, figure in figures]
    axes.barh(places, used, color=colors)
    for place, (_, figure) in zip(places, figures, strict=True):
        text = f" {figure.value_text} (goal {figure.goal_text})"
        axes.text(max(1.0, used[place]), place, text, va="center", size=7)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(places, names, size=7)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.6 * max(1.0, *used))
    axes.set_xlabel("part of the goal that is used")
    _save(canvas, file)


def _whole_decades(axes: Axes) -> None:
    lowest, highest = axes.get_ylim()
    axes.set_ylim(10 ** math.floor(math.log10(lowest)), 10 ** math.ceil(math.log10(highest)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _save(canvas: Canvas, file: Path) -> None:
    canvas.savefig(file, format="svg", facecolor="white", metadata={"Date": None})
