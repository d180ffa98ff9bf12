"""Reads request bodies: only JSON objects; the caller learns what is wrong with anything else."""

import json
import re
from collections import Counter
from typing import Any, NoReturn

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from api.http.errors import BodyTooLarge, MalformedBody, WrongContentType

MAX_BODY_BYTES = 1_000_000
MAX_TEXT_CHARACTERS = 256_000  # of all strings and names together: a command may have 128 kB
MAX_VALUES = 2_000
SHOWN_NAME = re.compile(r"\w[\w.-]{0,99}")  # any other may be an address with a token


class JsonRequest(Request):
    """Flask's request, except that a bad body is refused with the reason, never silently ignored."""

    max_content_length = MAX_BODY_BYTES

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> dict[str, Any]:
        """Return the body. It must be sent as JSON, which a foreign web page cannot do without permission."""
        if not self.mimetype and not self.get_data():  # no body means an empty object
            return {}
        return parse_object(self.json_bytes())

    def json_bytes(self) -> bytes:
        """Return the body as it was sent, which a sender may have signed."""
        if self.mimetype != "application/json":
            raise WrongContentType("The body must be JSON: send it with the header Content-Type: application/json.")
        if self.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise WrongContentType("The body is compressed: send it as it is, without the header Content-Encoding.")
        body = self.get_data()
        if self.content_length is None and len(body) >= MAX_BODY_BYTES:  # Werkzeug silently cuts a chunked body there
            raise RequestEntityTooLarge
        return body


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object of moderate size; raise MalformedBody saying where it breaks, without repeating any of it."""
    value = parse_large_object(body)
    _require_moderate(value)
    return value


def parse_large_object(body: bytes) -> dict[str, Any]:
    """Parse one with any number of values, of which the caller looks at some."""
    try:
        value = json.loads(body, parse_constant=_refuse_constant, object_pairs_hook=_each_name_once)
        json.dumps(value, ensure_ascii=False).encode()  # finds halves of surrogate pairs, which nothing can store
    except json.JSONDecodeError as error:
        raise MalformedBody(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            line=error.lineno,
            column=error.colno,
        ) from None
    except UnicodeError:
        raise MalformedBody("The body contains text that is not Unicode; send UTF-8.") from None
    except ValueError:
        raise MalformedBody("The body contains a number with too many digits.") from None
    except RecursionError:
        raise MalformedBody("The body is nested too deep.") from None
    if not isinstance(value, dict):
        raise MalformedBody('The body must be a JSON object, such as {"experiment_name": "…", "git_uri": "…"}.')
    return value


def _require_moderate(body: dict[str, Any]) -> None:
    """Raise BodyTooLarge for more than any job needs: each value and character is checked several times later."""
    characters, values, left = 0, 0, [body]
    while left:
        value = left.pop()
        values += 1
        match value:
            case dict():
                characters += sum(map(len, value))
                left += value.values()
            case list():
                left += value
            case str():
                characters += len(value)
    if characters > MAX_TEXT_CHARACTERS:
        raise BodyTooLarge(
            f"The strings of the body have {characters} characters; at most {MAX_TEXT_CHARACTERS} are accepted."
        )
    if values > MAX_VALUES:
        raise BodyTooLarge(f"The body contains {values} values; at most {MAX_VALUES} are accepted.")


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; raise MalformedBody for a repeated name, because JSON leaves open which value counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated = Counter(name for name, _ in pairs).most_common(1)[0][0]
        named = f"the name '{repeated}'" if SHOWN_NAME.fullmatch(repeated) else "a name"
        raise MalformedBody(f"The body contains {named} twice in one object; leave one of them out.")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedBody(
        f"The body contains {name}, which is not JSON. Leave the value out or, in parameters, send it as a text."
    )
