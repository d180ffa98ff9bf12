"""Redacts secrets from everything that is kept or shown, in every form in which programs print them."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from shared.addresses.git_uri import Credentials
from shared.secrets.forms import SHORT, forms_of
from shared.secrets.token_form import LENGTH, PREFIX

MASK = "***"
WORD_CHARACTER = b"[A-Za-z0-9_]"
ANCHOR_BYTES = 7  # one less than the shortest form that is masked inside words
# How often a byte occurs in a log, roughly: the fewer places an anchor may begin at, the faster the search.
FREQUENCY = {**dict.fromkeys(b" etaoinsr", 16), **dict.fromkeys(b"0123456789lhdcumpfg.,:=-_/\"'\n", 8)}
FREQUENCY |= dict.fromkeys(b"bvwyk", 2)  # any other byte: 1
# Masking could not protect a shorter secret, and these words would be masked all over a log.
TRIVIAL = re.compile(r"\d{1,3}|true|false|yes|no|on|off|none|null|main|master|default", re.IGNORECASE)
# Tokens that callers hold are known by their form: of those in the store, nobody has more than a hash.
OWN_TOKEN = re.compile(b"%b[A-Za-z0-9]{%d}" % (PREFIX.encode(), LENGTH))

Span = tuple[int, int]


class Redactor:
    """Replaces secrets in text. Immutable: `plus` returns another one that knows more.

    A text is searched once for anchors: a few bytes of each form, chosen to begin with as few different bytes as
    possible. Only forms whose anchors were seen are then searched for, so the time grows with the text and hardly with
    the number of secrets.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = frozenset(each for each in secrets if each and not TRIVIAL.fullmatch(each))

    @classmethod
    def of(cls, credentials: Iterable[Credentials], *others: str) -> "Redactor":
        """Return a redactor of these credentials, alone and joined as in HTTP Basic, and of other secrets."""
        return cls(others).plus(credentials)

    def plus(self, credentials: Iterable[Credentials]) -> "Redactor":
        """Return a redactor that knows these credentials, too."""
        found = list(credentials)
        pairs = [f"{each.username}:{each.password}" for each in found]
        return Redactor([*self._secrets, *(secret for each in found for secret in each.secrets), *pairs])

    def hiding(self, *secrets: str) -> "Redactor":
        """Return a redactor that knows these secrets, too."""
        return Redactor([*self._secrets, *secrets])

    def text(self, value: str) -> str:
        """Return the text without secrets."""
        raw = value.encode(errors="surrogatepass")
        clean = self.data(raw)
        return value if clean is raw else clean.decode(errors="surrogatepass")

    def data(self, value: bytes) -> bytes:
        """Return the bytes without secrets; the same object if there are none."""
        spans = sorted(span for pattern in (OWN_TOKEN, *self._seen_in(value)) for span in _spans(pattern, value))
        if not spans:
            return value
        parts, at = [], 0
        for start, end in _merged(spans):
            parts += [value[at:start], MASK.encode()]
            at = end
        return b"".join([*parts, value[at:]])

    def json(self, value: str) -> str:
        """Return a JSON text without secrets; it stays valid even where a mask would have cut an escape in two."""
        if self.text(value) == value:
            return value
        return self.text(json.dumps(self.within(json.loads(value))))

    def within(self, value: Any) -> Any:
        """Return the same value with secrets removed from all strings in it, names included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.within(name): self.within(item) for name, item in value.items()}
        return [self.within(item) for item in value] if isinstance(value, list | tuple) else value

    def _seen_in(self, value: bytes) -> Iterator[re.Pattern[bytes]]:
        yield from self._without_anchor
        if self._search is not None:
            seen = {value[at : at + ANCHOR_BYTES] for at in map(re.Match.start, self._search.finditer(value))}
            for anchor in seen:
                yield from self._by_anchor[anchor]

    @cached_property
    def _forms(self) -> frozenset[bytes]:
        return frozenset(form for secret in self._secrets for form in forms_of(secret))

    @cached_property
    def _without_anchor(self) -> list[re.Pattern[bytes]]:
        return [_pattern(form) for form in self._forms if len(form) < ANCHOR_BYTES]

    @cached_property
    def _by_anchor(self) -> Mapping[bytes, list[re.Pattern[bytes]]]:
        found = defaultdict(list)
        for form, anchor in _anchors([form for form in self._forms if len(form) >= ANCHOR_BYTES]).items():
            found[anchor].append(_pattern(form))
        return found

    @cached_property
    def _search(self) -> re.Pattern[bytes] | None:
        """Return the pattern of all anchors, overlapping ones too: it matches one byte and looks ahead for the rest."""
        rests = defaultdict(list)
        for anchor in sorted(self._by_anchor):
            rests[anchor[:1]].append(re.escape(anchor[1:]))
        branches = [re.escape(first) + b"(?=" + b"|".join(each) + b")" for first, each in rests.items()]
        return re.compile(b"|".join(branches)) if branches else None


def _anchors(forms: list[bytes]) -> dict[bytes, bytes]:
    """Choose each form's anchor: greedily, first bytes shared by the most forms relative to how common they are."""
    places = {form: form[: len(form) - ANCHOR_BYTES + 1] for form in forms}
    chosen: dict[bytes, bytes] = {}
    while left := [form for form in forms if form not in chosen]:
        counts: dict[int, int] = defaultdict(int)
        for form in left:
            for byte in set(places[form]):
                counts[byte] += 1
        best = max(sorted(counts), key=lambda byte: counts[byte] / FREQUENCY.get(byte, 1))
        for form in left:
            if (at := places[form].find(best)) >= 0:
                chosen[form] = form[at : at + ANCHOR_BYTES]
    return chosen


def _pattern(form: bytes) -> re.Pattern[bytes]:
    """Match a form anywhere, or a short one as a word; an end that is not a letter or digit needs no boundary."""
    escaped = re.escape(form)
    if len(form) >= SHORT:
        return re.compile(escaped)
    before = b"(?<!%b)" % WORD_CHARACTER if re.match(WORD_CHARACTER, form[:1]) else b""
    after = b"(?!%b)" % WORD_CHARACTER if re.match(WORD_CHARACTER, form[-1:]) else b""
    return re.compile(before + escaped + after)


def _spans(pattern: re.Pattern[bytes], value: bytes) -> Iterator[Span]:
    return map(re.Match.span, pattern.finditer(value))


def _merged(spans: list[Span]) -> Iterator[Span]:
    """Merge overlapping spans, so that no end of a secret sticks out of another's mask."""
    start, end = spans[0]
    for next_start, next_end in spans[1:]:
        if next_start < end:
            end = max(end, next_end)
            continue
        yield start, end
        start, end = next_start, next_end
    yield start, end
