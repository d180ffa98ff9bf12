"""Draws a card as PNG. A process of its own, which ends: it loads matplotlib.

python -m worker.cards.draw <card.json >card.png
"""

import json
import os
import resource
import sys
import textwrap
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

MOST_MEMORY_BYTES = 4 * 2**30
MOST_CPU_SECONDS = 60
INCHES, DOTS_PER_INCH = (9.0, 6.0), 100
MOST_BARS, MOST_LINES = 8, 14
LINE_CHARACTERS, FACT_CHARACTERS, LABEL_CHARACTERS = 105, 60, 18
OURS, THEIRS = "#2f81f7", "#d0d7de"


def main() -> None:
    """Draw the card on stdin to stdout, leaving the processors to whoever needs them."""
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_SECONDS, MOST_CPU_SECONDS))
    # Nothing in its texts is a formula.
    with mpl.rc_context({"text.parse_math": False, "font.size": 9}):
        draw(json.load(sys.stdin)).savefig(sys.stdout.buffer, format="png")


def draw(card: dict[str, Any]) -> Figure:
    """Return the drawn card."""
    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, facecolor="white")
    figure.text(0.03, 0.94, textwrap.shorten(card["title"], 70, placeholder="…"), size=15, weight="bold")
    told = "\n".join(filter(None, [card["verdict"], card["evidence"]]))
    figure.text(0.03, 0.91, _wrapped(told, LINE_CHARACTERS, 5), va="top")
    _draw_metrics(figure, card)
    if card["interval"]:
        _draw_interval(figure, *card["interval"])
    lines = [f"{name}: {value}" for name, value in [*card["facts"], *card["parameters"]]][:MOST_LINES]
    figure.text(0.56, 0.70, "\n".join(_wrapped(each, FACT_CHARACTERS, 2) for each in lines), va="top", size=8)
    return figure


def _draw_metrics(figure: Figure, card: dict[str, Any]) -> None:
    """Draw two bars for each metric, as parts of the larger one: metrics have scales of their own."""
    shown = card["metrics"][:MOST_BARS]
    axes = figure.add_axes((0.17, 0.2, 0.35, 0.5))
    for place, metric in enumerate(shown):
        pair = [metric["ours"], metric["theirs"]]
        largest = max((abs(each) for each in pair if each is not None), default=0.0) or 1.0
        for offset, value, colour, hatch in ((-0.2, pair[0], OURS, ""), (0.2, pair[1], THEIRS, "//")):
            if value is not None:
                axes.barh(place + offset, abs(value) / largest, 0.38, color=colour, hatch=hatch)
                axes.text(0.02, place + offset, f"{value:.6g}", va="center", size=7)
    names = [textwrap.shorten(each["name"], LABEL_CHARACTERS, placeholder="…") for each in shown]
    axes.set_yticks(range(len(shown)), names)
    axes.set_xlim(0, 1)
    axes.set_ylim(max(len(shown), 1) - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_title(f"full: this model; hatched: {card['compared_with']}"[:70], size=8, loc="left")


def _draw_interval(figure: Figure, low: float, middle: float, high: float) -> None:
    axes = figure.add_axes((0.17, 0.08, 0.35, 0.06))
    axes.plot([low, high], [0, 0], color=OURS, linewidth=2, marker="|")
    axes.plot([middle], [0], color=OURS, marker="o")
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks([])
    axes.set_title("by how much it is better, with the interval", size=8, loc="left")


def _wrapped(text: str, width: int, most_lines: int) -> str:
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, width)]
    return "\n".join([*lines[:most_lines], *(["…"] if len(lines) > most_lines else [])])


if __name__ == "__main__":
    main()
