"""How the tables of POLICY_FILE combine: [default], then the team's, then each role's; the last word counts."""

import math
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access.roles import Role
from shared.policy.image_patterns import allows_image, full_name
from shared.policy.rules import Document, Table

LISTS = ("images", "git_hosts", "queues", "networks", "variables")
NUMBERS = ("cpus", "gpus", "run_seconds", "queue_seconds", "priority")
TEAMS = ("vision", "speech")

words = st.sampled_from(["a", "b", "*", "a*", "*.example.com"])
tables = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(LISTS, st.one_of(st.just("any"), st.lists(words, max_size=3))),
        **dict.fromkeys(NUMBERS, st.one_of(st.just("any"), st.integers(0, 100))),
        "memory": st.sampled_from(["any", "8g", "512m"]),
        "volumes": st.sampled_from(["any", [], ["/srv"]]),
    },
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "default": tables,
        "team": st.dictionaries(st.sampled_from(TEAMS), tables),
        "role": st.dictionaries(st.sampled_from(list(Role)), tables),
    },
)
callers = st.tuples(st.sampled_from([None, *TEAMS]), st.frozensets(st.sampled_from(list(Role))))


def in_order(written: dict[str, Any], team: str | None, roles: frozenset[Role]) -> list[dict[str, Any]]:
    """The tables that hold for a caller, told without the code under test."""
    order = ("viewer", "submitter", "operator", "approver", "admin")
    of_roles = [written.get("role", {}).get(role, {}) for role in order if role in roles]
    return [written.get("default", {}), written.get("team", {}).get(team, {}), *of_roles]


@given(documents, callers)
def test_the_last_table_that_says_a_key_decides_it_alone(written: dict[str, Any], caller: tuple[Any, Any]) -> None:
    rules = Document.model_validate(written).rules_of(*caller)
    for key in Table.model_fields:
        said = [table[key] for table in in_order(written, *caller) if key in table]
        last = Table.model_validate({key: said[-1]}) if said else Table()
        assert getattr(rules.table, key) == getattr(last, key)


@given(documents, callers)
def test_a_key_that_nobody_says_bounds_nothing(written: dict[str, Any], caller: tuple[Any, Any]) -> None:
    rules = Document.model_validate(written).rules_of(*caller)
    said = {key for table in in_order(written, *caller) for key in table}
    assert all(rules.most(key) == math.inf for key in NUMBERS if key not in said)
    assert all(rules.allows(key, "whatever") for key in LISTS if key not in said)
    assert set(rules.said_in) == said


@given(documents, callers, st.sampled_from(TEAMS))
def test_what_is_said_of_others_changes_nothing(written: dict[str, Any], caller: tuple[Any, Any], other: str) -> None:
    team, roles = caller
    before = Document.model_validate(written).rules_of(team, roles)
    nothing = {"cpus": 0, "images": [], "queues": []}
    others = {name: nothing for name in TEAMS if name != team}
    more = {"team": {**written.get("team", {}), **others}}
    more["role"] = {**written.get("role", {}), **{role: nothing for role in Role if role not in roles}}
    assert Document.model_validate({**written, **more}).rules_of(team, roles).table == before.table


@given(documents, callers)
def test_roles_have_one_order_however_they_are_given(written: dict[str, Any], caller: tuple[Any, Any]) -> None:
    document, (team, roles) = Document.model_validate(written), caller
    assert document.rules_of(team, sorted(roles)) == document.rules_of(team, sorted(roles, reverse=True))


@pytest.mark.parametrize("roles", [set(each) for each in combinations([*Role, "boss"], 2)])
def test_administrators_have_no_exception_and_unknown_roles_say_nothing(roles: set[str]) -> None:
    rules = Document.model_validate({"default": {"gpus": 1}}).rules_of(None, roles)
    assert rules.most("gpus") == 1
    assert rules.why("gpus") == "gpus in [default] of POLICY_FILE; an operator of this service may change that"


def test_a_table_may_lift_what_another_one_says() -> None:
    written = {"default": {"gpus": 1, "queues": ["cpu"]}, "role": {"admin": {"gpus": "any", "queues": "any"}}}
    rules = Document.model_validate(written).rules_of("vision", ["admin"])
    assert (rules.most("gpus"), rules.allows("queues", "gpu")) == (math.inf, True)


@pytest.mark.parametrize(
    ("pattern", "image", "is_allowed"),
    [
        ("*", "evil.example.com/x", True),
        ("python", "python:3.12", True),
        ("python", "docker.io/library/python@sha256:" + "a" * 64, True),
        ("python:3.*", "python:3.12", True),
        ("python:3.*", "python:2", False),
        ("python", "python-evil", False),
        ("python*", "python.example.com/iris", False),
        ("python*", "python-slim:1", True),
        ("python", "someone/python", False),
        ("acme*/iris", "acme.example.com/iris", False),
        ("acme/*", "docker.io/acme/iris:1", True),
        ("acme/*", "index.docker.io/acme/iris:1", True),
        ("ghcr.io/acme/*", "ghcr.io/acme/a/b:1", True),
        ("ghcr.io/acme/*", "ghcr.io/acme-evil/b:1", False),
        ("ghcr.io/acme/*", "ghcr.io.example.com/acme/b:1", False),
        ("ghcr.io/acme/*", "acme/ghcr.io/acme/b", False),
        ("localhost/iris", "localhost/iris:1", True),
        ("localhost:5000/*", "localhost:5000/iris", True),
        ("*/iris", "example.com/iris:1", True),
    ],
)
def test_images_are_compared_by_their_full_names(pattern: str, image: str, is_allowed: bool) -> None:
    assert allows_image([pattern], image) is is_allowed


def test_a_full_name_stays() -> None:
    for name in ("python", "acme/iris:1", "ghcr.io/acme/iris", "localhost:5000/x", "docker.io/python"):
        assert full_name(full_name(name)) == full_name(name)
