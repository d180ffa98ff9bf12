"""Draws what each policy would have done, as SVG: text of shapes only, without scripts, styles of others, or links."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from html import escape

from shared.jobs.triggers import Outcome
from shared.triggers.backtest import Backtested, Mark

WIDTH = 960
LEFT, RIGHT, TOP = 180, 20, 44
ROW = 40
DATES = 5
NAME_CHARACTERS = 24
COLOURS = {Outcome.FIRED: "#1a7f37", Outcome.SKIPPED: "#9a6700", Outcome.WAITING: "#57606a"}
HEIGHTS = {Outcome.FIRED: 22, Outcome.SKIPPED: 10, Outcome.WAITING: 6}


def timeline_picture(title: str, since: datetime, until: datetime, policies: Mapping[str, Backtested]) -> str:
    """Return the picture: an axis of time, and a row of marks for each policy."""
    height = TOP + ROW * len(policies) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-labelledby="title desc" font-family="sans-serif" font-size="12">',
        f'<title id="title">{_text(title)}</title>',
        f'<desc id="desc">{_text(_told(since, until, policies))}</desc>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_legend(),
    ]
    for number, (name, result) in enumerate(policies.items()):
        parts += _row(name, result, since, until, TOP + ROW * number)
    parts += _axis(since, until, TOP + ROW * len(policies))
    return "\n".join([*parts, "</svg>", ""])


def _told(since: datetime, until: datetime, policies: Mapping[str, Backtested]) -> str:
    counts = "; ".join(f"{name}: {result.jobs} jobs" for name, result in policies.items())
    return f"Jobs from {since:%Y-%m-%d} to {until:%Y-%m-%d}. {counts}."


def _legend() -> Iterator[str]:
    for number, (outcome, colour) in enumerate(COLOURS.items()):
        x = LEFT + 90 * number
        yield f'<rect x="{x}" y="12" width="8" height="8" fill="{colour}"/>'
        yield f'<text x="{x + 14}" y="20">{outcome}</text>'


def _row(name: str, result: Backtested, since: datetime, until: datetime, top: int) -> Iterator[str]:
    base = top + ROW - 8
    shown = name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…"
    yield f'<text x="12" y="{base - 12}" font-weight="bold">{_text(shown)}</text>'
    yield f'<text x="12" y="{base + 2}" fill="#57606a">{result.jobs} jobs</text>'
    yield f'<line x1="{LEFT}" y1="{base}" x2="{WIDTH - RIGHT}" y2="{base}" stroke="#d0d7de"/>'
    for outcome, colour in reversed(COLOURS.items()):
        places = sorted({_place(mark, since, until) for mark in result.timeline if mark.outcome is outcome})
        lines = "".join(f"M{x} {base}v-{HEIGHTS[outcome]}" for x in places)  # at most one for each pixel
        if lines:
            yield f'<path d="{lines}" stroke="{colour}" stroke-width="1.5" fill="none"/>'


def _axis(since: datetime, until: datetime, top: int) -> Iterator[str]:
    for number in range(DATES):
        at = since + (until - since) * number / (DATES - 1)
        x = LEFT + (WIDTH - LEFT - RIGHT) * number // (DATES - 1)
        anchor = "end" if number == DATES - 1 else "middle"
        yield f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{top + 4}" stroke="#d0d7de" stroke-dasharray="2 4"/>'
        yield f'<text x="{x}" y="{top + 20}" text-anchor="{anchor}" fill="#57606a">{at:%Y-%m-%d %H:%M}</text>'


def _place(mark: Mark, since: datetime, until: datetime) -> int:
    return LEFT + round((WIDTH - LEFT - RIGHT) * ((mark.at - since) / (until - since)))


def _text(value: str) -> str:
    return escape("".join(each for each in value if each.isprintable()))
