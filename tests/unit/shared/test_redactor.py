"""Secrets are nowhere in text that was redacted, whatever form they were printed in, and little else is."""

import base64
import html
import json
import re
import shlex
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.addresses.git_uri import Credentials
from shared.secrets.forms import forms_of
from shared.secrets.redactor import MASK, Redactor

ODD = """p@ss/w0rd:&%41"'$é-k7Qx\\n~+<z>?"""
PEM_LINES = (
    "-----BEGIN PRIVATE KEY-----",
    "MIIEvQIBADANBg+kqhkiG9w0BAQEF",
    "ASCBKcwggSj/AgEAAoIBAQC7VJTU",
    "-----END-----",
)
PEM = "\n".join(PEM_LINES)
JSON_KEY = json.dumps({"type": "service_account", "private_key": PEM})


@pytest.mark.parametrize(
    "shown",
    [
        "hunter2/pa:ss",
        quote("hunter2/pa:ss", safe=""),
        base64.b64encode(b"hunter2/pa:ss").decode(),
        base64.b64encode(b"bot:hunter2/pa:ss").decode(),
    ],
)
def test_a_secret_is_redacted_in_each_form_in_which_programs_print_it(shown: str) -> None:
    redactor = Redactor.of([Credentials("https://git.example/", "bot", "hunter2/pa:ss")])
    assert redactor.text(f"fatal: {shown} refused") == f"fatal: {MASK} refused"
    assert redactor.data(f"fatal: {shown} refused".encode()) == f"fatal: {MASK} refused".encode()


def test_a_secret_that_holds_another_leaves_no_rest() -> None:
    assert Redactor(["hunter2", "hunter2-and-more"]).text("hunter2-and-more") == MASK


def test_without_secrets_the_text_stays() -> None:
    assert Redactor(["", ""]).text("as it was") == "as it was"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("occurs already at https://a@host/q", f"occurs already at https://{MASK}@host/q"),
        ("fatal: a refused", f"fatal: {MASK} refused"),
        ("a_b data ab ba 1a", "a_b data ab ba 1a"),
    ],
)
def test_a_short_secret_is_masked_as_a_word_and_spoils_no_other(line: str, told: str) -> None:
    redactor = Redactor.of([Credentials("https://host/", "a", "")])
    assert redactor.text(line) == told
    assert redactor.data(line.encode()) == told.encode()


def test_a_short_secret_that_ends_in_no_letter_is_masked_next_to_any() -> None:
    assert Redactor(["p@!"]).text("xp@!y p@!y") == f"xp@!y {MASK}y"


def test_a_longer_secret_is_masked_inside_a_word() -> None:
    assert Redactor(["hunter22"]).text("xhunter22y") == f"x{MASK}y"
    assert Redactor(["hunter22"]).data(b"xhunter22y") == f"x{MASK}y".encode()


@given(secret=st.text(min_size=8, max_size=30), around=st.text(alphabet="xyz ", max_size=20))
def test_no_secret_is_left_in_redacted_text(secret: str, around: str) -> None:
    shown = f"{around}{secret}{around}{quote(secret, safe='')}{around}"
    assert secret not in Redactor([secret]).text(shown).replace(MASK, "")


def in_base64(before: str, encode: Callable[[bytes], bytes]) -> Callable[[str], str]:
    """Print in base64, the secret so many bytes from its beginning."""
    return lambda secret: encode(f"{before}{secret} and more".encode()).decode()


PRINTED: dict[str, Callable[[str], str]] = {
    "raw": str,
    "as repr": lambda s: repr({"KEY": s}),
    "as repr within a text": lambda s: repr(f"{s} it's") + repr(f'{s} "so"') + repr(f'{s} it\'s "so"'),
    "as repr of repr": lambda s: repr(repr(s)),
    "as ascii": lambda s: ascii(["KEY=" + s]),
    "as repr of bytes": lambda s: repr(s.encode()),
    "in JSON": lambda s: json.dumps({"KEY": s}),
    "in JSON of any character": lambda s: json.dumps({"KEY": s}, ensure_ascii=False),
    "in JSON in JSON": lambda s: json.dumps(json.dumps({"KEY": s})),
    "in JSON for a page": lambda s: (
        json.dumps(s).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    ),
    "in an address": lambda s: f"https://user:{quote(s, safe='')}@host/{quote(s)}",
    "in an address in small letters": lambda s: re.sub("%..", lambda found: found[0].lower(), quote(s, safe="")),
    "in a query": lambda s: f"{quote_plus(s)} {urlencode({'key': s})}",
    "in an address in an address": lambda s: quote(quote(s, safe=""), safe=""),
    "for a shell": shlex.quote,
    "in a page": html.escape,
    "in hex": lambda s: s.encode().hex(),
    "in HEX": lambda s: s.encode().hex().upper(),
    **{f"in base64 behind {n}": in_base64("x" * n, base64.b64encode) for n in range(4)},
    **{f"in base64 of addresses behind {n}": in_base64("~?>"[:n], base64.urlsafe_b64encode) for n in range(4)},
}


@pytest.mark.parametrize("shown", PRINTED.values(), ids=PRINTED)
@pytest.mark.parametrize("secret", [ODD, "wJalrXUtnFEMI/K7MDENG+bPxRfiCY", "correct horse battery", "12345678"])
def test_no_form_of_a_secret_is_left(secret: str, shown: Callable[[str], str]) -> None:
    assert_gone(secret, Redactor([secret]).text(shown(secret)))


def assert_gone(secret: str, text: str) -> None:
    """Not a third of it can be read, encoded or not: what a form's ends share with their neighbours may stay."""
    assert MASK in text
    words = re.findall(r"[A-Za-z0-9+/_-]{4,}", text)
    readable = {text, *(_decoded(word[first:]) for word in words for first in range(4))}
    for encoded in (secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode()):
        length = max(6, len(encoded) // 3)
        pieces = {encoded[at : at + length] for at in range(len(encoded) - length + 1)}
        assert not [piece for piece in pieces if any(piece in each for each in readable)]


def _decoded(word: str) -> str:
    whole = word[: len(word) // 4 * 4].replace("+", "-").replace("/", "_")
    return base64.urlsafe_b64decode(whole).decode(errors="replace")


@pytest.mark.parametrize("secret", [PEM, PEM.replace("\n", "\\n"), PEM.replace("\n", "\r\n"), JSON_KEY])
@pytest.mark.parametrize("shown", PRINTED.values(), ids=PRINTED)
def test_each_line_of_a_secret_is_masked_however_it_is_printed(secret: str, shown: Callable[[str], str]) -> None:
    line = "MIIEvQIBADANBg+kqhkiG9w0BAQEF"
    assert_gone(line, Redactor([secret]).text(shown(PEM)))
    assert_gone(line, Redactor([secret]).text(shown(line)))


def test_what_frames_a_key_is_no_secret() -> None:
    assert Redactor([PEM]).text("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_secrets_that_overlap_are_masked_as_one() -> None:
    assert Redactor(["hunter2-first", "first-and-second"]).text("a hunter2-first-and-second b") == f"a {MASK} b"
    assert Redactor(["hunter2-first"]).text("hunter2-firsthunter2-first") == MASK * 2


@pytest.mark.parametrize("word", ["1", "12", "true", "False", "main", "none", "default"])
def test_a_word_of_every_log_is_not_masked_even_where_it_is_a_secret(word: str) -> None:
    assert Redactor([word]).text(f"branch {word}") == f"branch {word}"


def test_a_redactor_that_knows_more_forgets_nothing() -> None:
    redactor = Redactor(["hunter2-first"]).plus([Credentials("https://host/", "bot", "hunter3-second")])
    assert redactor.text("hunter2-first hunter3-second") == f"{MASK} {MASK}"


def test_json_stays_json_where_a_mask_would_cut_an_escape_in_two() -> None:
    text = json.dumps({"cause": "one\nabcdefgh", "count": 2})
    assert json.loads(Redactor(["nabcdefgh", "abcdefgh"]).json(text)) == {"cause": f"one\n{MASK}", "count": 2}
    assert Redactor(["hunter2-first"]).json(text) is text


def test_names_and_values_of_a_record_are_masked() -> None:
    record = {"hunter2-first": [1.5, ("hunter2-first", None)], "state": True}
    assert Redactor(["hunter2-first"]).within(record) == {MASK: [1.5, [MASK, None]], "state": True}


def test_half_of_a_character_is_left_as_it_is() -> None:
    assert Redactor(["hunter2-first"]).text("\ud800 hunter2-first") == f"\ud800 {MASK}"


@settings(max_examples=25, deadline=None)
@given(secrets=st.lists(st.text(st.characters(exclude_characters=MASK), min_size=8, max_size=20), max_size=5))
def test_each_form_of_each_secret_is_found_among_all_others(secrets: list[str]) -> None:
    forms = {form for secret in secrets for form in forms_of(secret)}
    left = Redactor(secrets).data(b"|".join(sorted(forms)))
    assert not [form for form in forms if len(form) >= 8 and form in left]


@pytest.mark.parametrize("filler", [b"a", b"x@!", b"7QkpZ-aa11=", b"epoch 7 loss=0.25\n", b"\\"])
def test_the_time_grows_with_the_text_and_no_faster(filler: bytes) -> None:
    redactor = Redactor(["a" * 40, "x@!" * 9, "7QkpZ-aa11=" * 3, "\\" * 20])
    redactor.data(filler)

    def seconds(size: int) -> float:
        text = filler * (size // len(filler))
        spent = []
        for _ in range(3):
            began = time.process_time()
            redactor.data(text)
            spent.append(time.process_time() - began)
        return min(spent)

    assert seconds(800_000) < 5 * 4 * max(seconds(200_000), 0.002)
