"""Turns a request into a form, and a sent form into a request. Pure.

What people change most has a field of its own. All else is one JSON object, which may not repeat those fields: so the
two never say different things.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import MultiDict

from api.http.errors import FieldError, MalformedBody
from api.http.json_request import parse_object
from shared.addresses.dataset_address import parse_dataset_address
from shared.addresses.git_uri import parse_git_uri
from shared.requests.parts import Resources
from shared.requests.records import without_defaults
from shared.requests.retrain_request import DEFAULTS, EARLIER_NAMES, RetrainRequest

TEXTS = (
    *("experiment_name", "model_name", "git_uri", "commit_hash", "MLproject_location", "entry_point"),
    *("dataset_repo", "base_model", "run_name", "queue", "concurrency_key"),
)
ADDRESSES = ("git_uri", "dataset_repo")  # may have a token in them
NUMBERS = ("priority", "gpus")
MAPPINGS = ("parameters", "labels")
REST = "rest"
NOT_IN_REST = frozenset({*TEXTS, "priority", *MAPPINGS, *EARLIER_NAMES.values()})
SPARE_ROWS = 3
CONSTANTS = ("NaN", "Infinity", "-Infinity")  # are no JSON, although json.loads takes them

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Form:
    """What is in the form, as text. ``rest`` is the JSON object."""

    texts: Mapping[str, str] = field(default_factory=dict)
    mappings: Mapping[str, Pairs] = field(default_factory=dict)
    rest: str = ""


class WrongForm(Exception):
    """Something in the form is not even a request; ``errors`` are as the API gives them."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(each.message for each in errors))
        self.errors = errors


def form_of(request: Mapping[str, Any]) -> Form:
    """Return the form of a request, as in the API's answer: with all defaults filled in, and without credentials."""
    sent = without_defaults(request, DEFAULTS)
    resources = {**sent.pop("resources", {})}
    texts = {name: str(value) for name in (*TEXTS, "priority") if (value := sent.pop(name, None)) is not None}
    if "gpus" in resources:
        texts["gpus"] = str(resources.pop("gpus"))
    mappings = {
        "parameters": [(name, as_text(value)) for name, value in sent.pop("parameters", {}).items()],
        "labels": [*sent.pop("labels", {}).items()],
    }
    rest = {name: value for name, value in {"resources": resources, **sent}.items() if value != {}}
    return Form(texts, mappings, json.dumps(rest, indent=2, ensure_ascii=False) if rest else "")


def sent_form(sent: MultiDict[str, str]) -> Form:
    """Return the form as a browser sent it."""
    mappings = {
        name: [*zip(sent.getlist(f"{name}-name"), map(_lines, sent.getlist(f"{name}-value")), strict=False)]
        for name in MAPPINGS
    }
    texts = {name: value for name in (*TEXTS, *NUMBERS) if (value := sent.get(name, "").strip())}
    given = {name: [pair for pair in pairs if any(pair)] for name, pairs in mappings.items()}
    return Form(texts, given, _lines(sent.get(REST, "")).strip())


def request_of(form: Form) -> dict[str, Any]:
    """Return the body of POST /retrain, which checks it; raise WrongForm for what has no place in a body."""
    errors: list[FieldError] = []
    body = _rest(form.rest, errors)
    body |= {name: form.texts[name] for name in TEXTS if name in form.texts}
    if "priority" in form.texts:
        body["priority"] = _number(form.texts["priority"])
    if "gpus" in form.texts and isinstance(resources := body.get("resources", {}), dict):
        body["resources"] = {**resources, "gpus": _number(form.texts["gpus"])}
    for name, read in (("parameters", as_value), ("labels", str)):
        if pairs := form.mappings.get(name):
            errors += _twice(name, pairs)
            body[name] = {key: read(value) for key, value in pairs}
    if errors:
        raise WrongForm(errors)
    return body


def without_tokens(form: Form) -> Form:
    """Return what may be shown again: addresses without the credentials that were typed into them."""
    clean = {name: _clean(name, form.texts[name]) for name in ADDRESSES if name in form.texts}
    return Form({**form.texts, **clean}, form.mappings, form.rest)


def place_of(pointer: str) -> str:
    """Return beside which field of the form an error of the API belongs."""
    first, *more = pointer.strip("/").split("/")
    if (first, *more[:1]) == ("resources", "gpus"):
        return "gpus"
    return first if first in (*TEXTS, "priority", *MAPPINGS) else REST


def hint(name: str) -> str:
    """Return the first sentence of what the API says about a field."""
    known = Resources.model_fields if name in Resources.model_fields else RetrainRequest.model_fields
    return (known[name].description or "").partition(". ")[0].rstrip(".")


def default_of(name: str) -> str:
    """Return what applies if the field is left empty."""
    default = DEFAULTS.get(name)
    return "" if default is None or name == "gpus" else str(default)


def as_text(value: Any) -> str:
    """Return a parameter's value as a person types it: a text that would be read as another value stands in quotes."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    is_plain = as_value(value) == value and "\r" not in value and not value.startswith(("\n", '"'))
    return value if is_plain and value else json.dumps(value, ensure_ascii=False)


def as_value(text: str) -> Any:
    """Return the value: a number, true, false or a text in quotes, as in JSON; anything else is a text as it is."""
    try:
        value = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text
    is_meant = isinstance(value, bool | int | float | str) and text == text.strip() and text not in CONSTANTS
    return value if is_meant else text


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 10 else text


def _lines(text: str) -> str:
    """Return the text with the line ends that were in it: browsers send others."""
    return text.replace("\r\n", "\n")


def _rest(text: str, errors: list[FieldError]) -> dict[str, Any]:
    try:
        rest = parse_object(text.encode(errors="surrogatepass")) if text else {}
    except MalformedBody as error:
        errors.append(FieldError("body", "", error.message.replace("The body", "Everything else"), "MALFORMED_JSON"))
        return {}
    resources = rest.get("resources")
    above = sorted(NOT_IN_REST & rest.keys())
    above += ["resources.gpus"] if isinstance(resources, dict) and "gpus" in resources else []
    if above:
        message = f"Everything else has {', '.join(above)}: that is a field of its own above, so leave it out here"
        errors.append(FieldError("body", "", message, "TWICE"))
    return rest


def _twice(name: str, pairs: Pairs) -> list[FieldError]:
    names = [key for key, _ in pairs]
    repeated = sorted({key for key in names if names.count(key) > 1})
    return [FieldError("body", f"/{name}", f"{name} has {key!r} twice", "TWICE") for key in repeated]


def _clean(name: str, address: str) -> str:
    if "@" not in address:
        return address
    try:
        return (parse_git_uri(address) if name == "git_uri" else parse_dataset_address(address)).uri
    except ValueError:
        return ""
