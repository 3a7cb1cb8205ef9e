"""Charts as SVG inside a page: drawn on the server, without a script and without a style of their own."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal
from xml.etree import ElementTree as ET

import pygal
from markupsafe import Markup
from pygal.style import Style

# pygal looks for plugins through an old kind of import hook, of which Python 3.11 warns at every import that fails
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]

Values = Sequence[int | None]
WIDTH: Final = 560
HEIGHT: Final = 220
MOST_TICKS: Final = 4
LABELS: Final = 6
"""About so many times are written below a chart."""

_MORE_DIGITS: Final = re.compile(r"(?<=\.\d)\d+")
"""A tenth of a point is as exact as anybody sees."""
_DRAWN: Final = ("x", "y", "width", "height", "cx", "cy", "d")
_STYLE: Final = Style(label_font_size=13, major_label_font_size=13)
"""How much room labels are given; how they look is said by the page."""
_UNWANTED: Final = {"titles", "text-overlay", "tooltip-overlay"}
_UNWANTED_TAGS: Final = {"defs", ET.Comment}


class _LooksOnce:
    """Pygal's charts look whether they are being drawn three times for each attribute: a quarter of all their time."""

    def __getattribute__(self, name: str) -> Any:
        drawn = object.__getattribute__(self, "__dict__").get("state")
        if drawn is not None and name in drawn.__dict__ and name != "state" and not name.startswith("__"):
            return drawn.__dict__[name]
        return object.__getattribute__(self, name)


class _Bars(_LooksOnce, pygal.StackedBar):  # type: ignore[misc]  # pygal has no types
    pass


class _Lines(_LooksOnce, pygal.Line):  # type: ignore[misc]  # as above
    pass


def draw(
    kind: Literal["bars", "lines"],
    labels: Sequence[str],
    series: Mapping[str, Values],
    *,
    show: Callable[[int], str],
    title: str,
) -> Markup:
    """Values over time as stacked bars or as lines; each shows itself when it is pointed at."""
    chart_type = _Bars if kind == "bars" else _Lines
    known = [[value or 0 for value in values] for values in series.values()]
    top = max(map(sum, zip(*known, strict=True)) if kind == "bars" else (max(values) for values in known), default=0)
    step = max(1, -(-len(labels) // LABELS))
    chart = chart_type(
        width=WIDTH,
        height=HEIGHT,
        style=_STYLE,
        js=[],
        css=[],
        margin=8,
        spacing=6,
        show_legend=False,
        dots_size=2,
        rounded_bars=1,
        x_labels=list(labels),
        x_labels_major=list(labels)[::-step],
        show_minor_x_labels=False,
        truncate_label=-1,
        y_labels=ticks(top),
        value_formatter=lambda value: show(round(value)),
    )
    for name, values in series.items():
        chart.add(name, list(values) if kind == "lines" else [value or None for value in values])
    tree = chart.render_tree()
    _clean(tree, list(series))
    tree.set("role", "img")
    tree.set("aria-label", title)
    del tree.attrib["id"]
    # safe: an element tree, whose every text is escaped when it is written
    return Markup(ET.tostring(tree, encoding="unicode"))  # noqa: S704  (as said above)


def ticks(top: int) -> list[int]:
    """Round numbers from 0 to at least `top`, about four of them."""
    if top <= 0:
        return [0, 1]
    least = -(-top // MOST_TICKS)
    power = 10 ** (len(str(least)) - 1)
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)
    return list(range(0, top + step, step))


def _clean(tree: Any, names: Sequence[str]) -> None:
    """Take out styles, scripts, comments and what only scripts use; what those would show becomes titles."""
    for parent in list(tree.iter()):
        for child in list(parent):
            if child.tag in _UNWANTED_TAGS or not _UNWANTED.isdisjoint(child.get("class", "").split()):
                parent.remove(child)
        for name in _DRAWN:
            if name in parent.attrib:
                parent.set(name, _MORE_DIGITS.sub("", parent.get(name)))
    for child in tree.findall("title"):
        tree.remove(child)
    for number, name in enumerate(names):
        for group in tree.iter("g"):
            if f"serie-{number}" in group.get("class", "").split():
                for element in list(group.iter()):
                    _describe(element, name)


def _describe(element: Any, name: str) -> None:
    for bar in element.findall("g[@class='bar']"):
        if float(bar.find("rect").get("height")) == 0:
            element.remove(bar)
    told = {child.get("class"): child for child in element.findall("desc")}
    for child in told.values():
        element.remove(child)
    if "value" in told:
        title = ET.SubElement(element, "title")
        title.text = f"{name}, {told['x_label'].text}: {told['value'].text}"
