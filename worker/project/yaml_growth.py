"""Finds out how much a YAML text stands for, before it is read: aliases multiply, and a hundred exhaust any memory."""

from dataclasses import dataclass

import yaml

MAX_DEPTH = 50
MAX_CHARACTERS = 1_000_000  # with each alias counted as what it stands for
TOO_DEEP = f"is nested deeper than {MAX_DEPTH} levels; flatten it"
TOO_LARGE = f"has YAML aliases that stand for more than {MAX_CHARACTERS} characters; write out what is needed"
OF_ITSELF = "has YAML aliases that stand for what they are in; write out what is meant"


@dataclass
class _Open:
    """A list or mapping whose end has not come yet."""

    anchor: str | None
    size: int = 1


def growth_of(text: str) -> str | None:
    """Return what is wrong with the text's size, as the rest of a sentence; None if it may be read.

    Only events are read, and no further than needed: it is building the document that a hostile file exploits. Raises
    yaml.YAMLError for what is not YAML.
    """
    sizes: dict[str, int] = {}
    around = [_Open(None)]
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        match event:
            case yaml.CollectionStartEvent():
                around.append(_Open(event.anchor))
            case yaml.CollectionEndEvent():
                _add(around, sizes, *_closed(around))
            case yaml.AliasEvent() if event.anchor in {each.anchor for each in around}:
                return OF_ITSELF
            case yaml.AliasEvent():
                _add(around, sizes, None, sizes.get(event.anchor or "", 0) + 1)
            case yaml.ScalarEvent():
                _add(around, sizes, event.anchor, len(event.value) + 1)
        if len(around) > MAX_DEPTH + 1:
            return TOO_DEEP
        if around[-1].size > MAX_CHARACTERS:
            return TOO_LARGE
    return None


def _closed(around: list[_Open]) -> tuple[str | None, int]:
    ended = around.pop()
    return ended.anchor, ended.size


def _add(around: list[_Open], sizes: dict[str, int], anchor: str | None, size: int) -> None:
    around[-1].size += size
    if anchor is not None:
        sizes[anchor] = size
