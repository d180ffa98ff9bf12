"""Writes a card as HTML: one file without scripts, which loads nothing. All that it is told is escaped."""

from collections.abc import Iterator, Sequence
from html import escape

from worker.cards.card import Card, Metric

BAR = 200  # pixels of the longer bar
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 1rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
h2 { font-size: 1.1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .5rem; border-bottom: 1px solid #8886; vertical-align: top; }
th, td, h1, p { overflow-wrap: anywhere; }
.ours { fill: #2f81f7; }
.theirs { fill: none; stroke: currentColor; }
.verdict { border-left: 4px solid #2f81f7; padding-left: .75rem; }
"""


def page_of(card: Card) -> str:
    """Return the page."""
    return "".join(_parts(card))


def _parts(card: Card) -> Iterator[str]:
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    yield '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(card.title)}</title><style>{STYLE}</style></head><body><h1>{escape(card.title)}</h1>"
    yield f'<p class="verdict">{escape(card.verdict)}</p>'
    yield f"<p>{escape(card.evidence)}</p>" if card.evidence else ""
    yield "<h2>Metrics</h2>"
    yield from _metrics(card)
    yield from _pairs("The job", card.facts)
    yield from _pairs("Parameters", card.parameters)
    if card.page:
        yield f'<p><a href="{escape(card.page)}" rel="noreferrer">The job\'s page</a></p>'
    yield "</body></html>\n"


def _metrics(card: Card) -> Iterator[str]:
    yield '<table><thead><tr><th scope="col">Metric</th><th scope="col">This model</th>'
    yield f'<th scope="col">{escape(card.compared_with)}</th><th scope="col">Side by side</th></tr></thead><tbody>'
    for each in card.metrics:
        yield f'<tr><th scope="row">{escape(each.name)}</th><td>{number(each.ours)}</td><td>{number(each.theirs)}</td>'
        yield f"<td>{_bars(each)}</td></tr>"
    yield "</tbody></table>"


def _bars(metric: Metric) -> str:
    ours, theirs = lengths(metric)
    return (
        f'<svg viewBox="0 0 {BAR + 2} 22" width="{BAR + 2}" height="22" aria-hidden="true">'
        f'<rect class="ours" x="1" y="1" width="{ours * BAR:.1f}" height="9"/>'
        f'<rect class="theirs" x="1" y="12" width="{theirs * BAR:.1f}" height="9"/></svg>'
    )


def _pairs(title: str, pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    if pairs:
        yield f"<h2>{title}</h2><table><tbody>"
        for name, value in pairs:
            yield f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        yield "</tbody></table>"


def lengths(metric: Metric) -> tuple[float, float]:
    """Return both values as parts of the larger one: metrics have scales of their own."""
    sizes = [abs(each) if each is not None else 0.0 for each in (metric.ours, metric.theirs)]
    largest = max(sizes) or 1.0
    return sizes[0] / largest, sizes[1] / largest


def number(value: float | None) -> str:
    """Return the number for people."""
    return "-" if value is None else f"{value:.6g}"
