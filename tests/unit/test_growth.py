"""What others wrote (requests, repositories, output of trainings) is read in time that grows as its length does."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from flask.testing import FlaskClient

import api
import mypackage
import shared
import worker
from mypackage.plain_text import plain
from shared.addresses.dataset_address import parse_dataset_address
from shared.addresses.git_uri import parse_git_uri
from shared.addresses.public_text import require_no_credentials
from shared.errors import RetrainError
from shared.requests.parts import memory_bytes
from shared.requests.retrain_request import RetrainRequest
from shared.scheduling.limits import Limits
from tests.support.growth import grows_faster_than_its_input
from worker.attempt.progress_bars import as_last_seen
from worker.runners.docker.image_reference import require_image

MIDDLES = (
    *("a", "0", "_", ".", "-", ":", "/", "//", "@", "=", "?", "#", "%", "%25", " ", "\t", "\n", "\r", "\\", "\\\\"),
    *("*", "'", '"', "`", "|", "[", "]", "(", "{", "\x1b", "\x1b[", "\x1b]", "\x1b[0", "\x9b", "\x9d", "\u202e", "é"),
    *("a.", "a-", "a_", "a/", "a:", "a@", "a=", "a ", "0.", "0:", "0 ", "../", "%2", "%25@", "@a", ":0/", "?a="),
    *("http:", "https:", "http://", "https:a:", "s3:/", "//a:", "//a:b", "//a:0", "//a:b@ ", "models:/", "models:/a@"),
    *("?token", "?sig=", "token=", "Error", "Error.", "open 1", " 1", "repository '", "transport '", "a__", "a--"),
    *("[a]", "&a=b", "=?", ";a=", ',"', 'W/"', "q=0.", "\\'"),
)
FIRSTS = ("", "https://", "models:/a", "?")
LASTS = ("", "!", "@")
SHAPES = [f"{first}…{middle}…{last}" for middle in MIDDLES for first in FIRSTS for last in LASTS]
MOST_TOLD = 3
OF_AN_EXTRA = "mypackage.dataset_utils"  # it imports what only training images have


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if found.name != OF_AN_EXTRA and "migrations" not in found.name and not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def patterns() -> dict[str, re.Pattern[Any]]:
    """Each pattern of ours that a module holds, by the module that makes it."""
    found: dict[re.Pattern[Any], str] = {}
    for package in (shared, api, worker, mypackage):
        for module in modules(package):
            for name, value in vars(module).items():
                if isinstance(value, re.Pattern):
                    found.setdefault(value, f"{module.__name__}.{name}")
    return {name: pattern for pattern, name in found.items()}


PATTERNS = patterns()


def search(pattern: re.Pattern[Any], text: str) -> None:
    """As the pattern is used at worst: all that it finds anywhere, and the whole."""
    given = text.encode(errors="replace") if isinstance(pattern.pattern, bytes) else text
    for _ in pattern.finditer(given):
        pass
    pattern.fullmatch(given)


def too_costly(call: Callable[[str], object], shapes: Sequence[str] = SHAPES) -> list[str]:
    """Shapes at which the call costs more than its input's length explains."""
    found: list[str] = []
    for shape in shapes:
        if len(found) < MOST_TOLD and grows_faster_than_its_input(call, shape):
            found.append(shape)
    return found


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_a_pattern_costs_no_more_than_its_input_is_long(name: str) -> None:
    assert too_costly(partial(search, PATTERNS[name])) == []


def forgiving(call: Callable[[str], object]) -> Callable[[str], object]:
    """The call, whose refusal is as good as its answer."""

    def tried(text: str) -> None:
        with suppress(ValueError, RetrainError):
            call(text)

    return tried


def as_parameter(text: str) -> object:
    return RetrainRequest.model_validate({"experiment_name": "e", "git_uri": "https://h/p", "parameters": {"p": text}})


READERS: dict[str, Callable[[str], object]] = {
    "a text of a request": require_no_credentials,
    "a parameter of a request": as_parameter,
    "a dataset's address": parse_dataset_address,
    "a git address": parse_git_uri,
    "a size": memory_bytes,
    "a concurrency key": Limits(by_key=(("*a*a*a*", 1), ("*:*/*@*", 1), ("**0*", 1))).for_key,
    "an image": require_image,
    "text for a terminal": plain,
    "output of a training": lambda text: as_last_seen(text.encode(errors="replace")),
}


@pytest.mark.parametrize("name", READERS)
def test_reading_costs_no_more_than_the_text_is_long(name: str) -> None:
    assert too_costly(forgiving(READERS[name])) == []


@pytest.mark.parametrize("header", ["Accept", "Authorization", "Content-Type", "Host", "If-None-Match", "Origin"])
def test_a_header_costs_no_more_than_it_is_long(client: FlaskClient, header: str) -> None:
    def ask(text: str) -> None:
        client.post("/jobs/x/cancel", headers={header: printable(text)})

    assert too_costly(ask, [f"…{middle}…!" for middle in MIDDLES if middle == printable(middle)]) == []


def printable(text: str) -> str:
    return "".join(character for character in text if " " <= character <= "~")


def test_the_names_of_a_body_cost_no_more_than_they_are_many(client: FlaskClient) -> None:
    def post(text: str) -> None:
        names = {f"{name}_{text[:1]}": 0 for name in range(len(text) // 8)}
        client.post("/retrain", json=names)

    assert not grows_faster_than_its_input(post, "…experiment…")
