"""Compares two JSON schemas: is everything that one allows also what the other expects? References must be resolved."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

EVERY_TYPE = ("null", "boolean", "object", "array", "number", "integer", "string")
SIZES = (("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties"))
INFINITY = float("inf")


@dataclass(frozen=True)
class Rules:
    """How to compare what is sent with what is expected, and how to word a different type."""

    of: Callable[[Schema, Schema, str], Iterator[str]]
    strange_type: str


def differences(sent: Schema, expected: Schema, place: str, rules: Rules) -> Iterator[str]:
    """Yield what may be sent but is not expected. Of alternatives, one has to fit."""
    for branch in _branches(sent):
        yield from min((list(_of_branch(branch, one, place, rules)) for one in _branches(expected)), key=len)


def _branches(schema: Schema) -> list[Schema]:
    choices = schema.get("anyOf") or schema.get("oneOf")
    return [branch for each in choices for branch in _branches(each)] if choices else [schema]


def _of_branch(sent: Schema, expected: Schema, place: str, rules: Rules) -> Iterator[str]:
    if strange := _types(sent) - _types(expected):
        yield f"{place} {rules.strange_type.format(' or '.join(sorted(strange)))}"
        return
    yield from rules.of(sent, expected, place)
    for name, schema in sent.get("properties", {}).items():
        if name in expected.get("properties", {}):
            yield from differences(schema, expected["properties"][name], f"{place}.{name}", rules)
    for pattern, schema in sent.get("patternProperties", {}).items():
        if pattern in expected.get("patternProperties", {}):
            yield from differences(schema, expected["patternProperties"][pattern], f"{place}.*", rules)
    for word in ("items", "additionalProperties"):
        if isinstance(sent.get(word), Mapping) and isinstance(expected.get(word), Mapping):
            yield from differences(sent[word], expected[word], f"{place}.*", rules)


def _types(schema: Schema) -> set[str]:
    named = schema.get("type", EVERY_TYPE)
    types = {named} if isinstance(named, str) else {*named}
    return types | {"integer"} if "number" in types else types


def _of_requests(sent: Schema, expected: Schema, place: str) -> Iterator[str]:
    """Yield what callers of the last release may send but is no longer accepted."""
    for word in _words(sent) - _words(expected) if _words(expected) else ():
        yield f"{place} does not take {word} any more"
    if _words(expected) and not _words(sent):
        yield f"{place} takes certain words only"
    for name in sorted({*expected.get("required", ())} - {*sent.get("required", ())}):
        yield f"{place}.{name} is required"
    if expected.get("additionalProperties") is False:
        for name in sent.get("properties", {}).keys() - expected.get("properties", {}).keys():
            yield f"{place}.{name} is not taken any more"
    yield from _tighter(sent, expected, place)


def _of_answers(sent: Schema, expected: Schema, place: str) -> Iterator[str]:
    """Yield what callers of the last release read but may be missing. They must expect new words anyway."""
    for name in expected.get("properties", {}):
        if name not in sent.get("properties", {}):
            yield f"{place}.{name} is gone"
        elif name in expected.get("required", ()) and name not in sent.get("required", ()):
            yield f"{place}.{name} may be absent"


def _words(schema: Schema) -> set[Any]:
    return {*schema.get("enum", ())} | ({schema["const"]} if "const" in schema else set())


def _tighter(sent: Schema, expected: Schema, place: str) -> Iterator[str]:
    if _least(expected) > _least(sent) or _most(expected) < _most(sent):
        yield f"{place} takes a smaller range of numbers"
    for least, most in SIZES:
        if expected.get(least, 0) > sent.get(least, 0) or expected.get(most, INFINITY) < sent.get(most, INFINITY):
            yield f"{place} takes fewer lengths: {least} or {most} has changed"
    for word in ("pattern", "uniqueItems", "propertyNames"):
        if word in expected and expected[word] != sent.get(word):
            yield f"{place} has another {word}, which may take less"
    patterns = expected.get("patternProperties", {}).keys()
    if patterns and patterns != sent.get("patternProperties", {}).keys():
        yield f"{place} takes other names"


def _least(schema: Schema) -> tuple[float, bool]:
    return max((schema.get("minimum", -INFINITY), False), (schema.get("exclusiveMinimum", -INFINITY), True))


def _most(schema: Schema) -> tuple[float, bool]:
    return min((schema.get("maximum", INFINITY), True), (schema.get("exclusiveMaximum", INFINITY), False))


REQUESTS = Rules(_of_requests, "is not taken as {} any more")
ANSWERS = Rules(_of_answers, "may be {} now")
