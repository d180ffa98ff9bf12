"""Makes text of users and trainings safe for Discord: without markup, mentions and links, cut to what fits."""

import re

from worker.alerts.text import LINE_CHARACTERS, cut, size

ESCAPED = re.compile(r"[\\*_~`|<>\[\]()#@:]|^[+-]")  # a backslash makes any of them plain
TWO_BACKTICKS = re.compile("`(?=`)")
FENCE = "```\n{}\n```"


def plain(text: str, limit: int) -> str:
    """Return the text on one line, escaped so that it reads as written, cut to what fits."""
    line = " ".join(text.split())
    escaped = ESCAPED.sub(r"\\\g<0>", line)
    while size(escaped) > limit:  # the text is cut, never an escape
        line = cut(line, size(line) - max(1, (size(escaped) - limit) // 2))
        escaped = ESCAPED.sub(r"\\\g<0>", line)
    return escaped


def code_block(lines: list[str], limit: int) -> str:
    """Return as many of the last lines as fit, in a block that they cannot end; empty if none fits."""
    room = limit - size(FENCE.format(""))
    kept: list[str] = []
    for line in reversed(lines):
        shown = TWO_BACKTICKS.sub("`\u200b", cut(line, LINE_CHARACTERS))
        if size(shown) > room:
            break
        kept.insert(0, shown)
        room -= size(shown) + 1
    return FENCE.format("\n".join(kept)) if kept else ""
