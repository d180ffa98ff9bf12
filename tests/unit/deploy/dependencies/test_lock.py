"""One lock for every image and for development, and the part of it that each of them installs."""

import tomllib
from collections.abc import Iterator
from importlib.metadata import requires
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.dependencies.lock import LOCK, entries, main, part

GROUPS: dict[str, list[Any]] = tomllib.loads(LOCK.with_name("pyproject.toml").read_text())["dependency-groups"]


def _named_by(group: str) -> Iterator[Requirement]:
    for named in GROUPS[group]:
        if isinstance(named, dict):
            yield from _named_by(named["include-group"])
        else:
            yield Requirement(named)


def _asked_for(requirement: Requirement) -> Iterator[Requirement]:
    """What an installed package asks for here, with the extras that are wanted of it."""
    extras = requirement.extras | {""}
    for wanted in map(Requirement, requires(requirement.name) or ()):
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras):
            yield wanted


def _needed_by(group: str) -> list[Requirement]:
    found: dict[str, Requirement] = {}
    left = list(_named_by(group))
    while left:
        requirement = left.pop()
        if str(requirement) not in found:
            found[str(requirement)] = requirement
            left += _asked_for(requirement)
    return list(found.values())


def _is_met(needed: Requirement, locked: dict[str, str]) -> bool:
    version = locked.get(canonicalize_name(needed.name))
    return version is not None and needed.specifier.contains(version, prereleases=True)


@pytest.mark.parametrize("group", ["api", "worker", "mlflow", "flower", "installer", "dev"])
def test_the_part_of_a_group_has_all_that_its_packages_ask_for_in_versions_that_they_accept(group: str) -> None:
    locked = {entry.name: entry.text.split()[0].partition("==")[2] for entry in part(LOCK.read_text(), group)}
    assert [str(needed) for needed in _needed_by(group) if not _is_met(needed, locked)] == []


def test_the_part_of_an_image_leaves_out_what_only_others_need() -> None:
    names = {group: {entry.name for entry in part(LOCK.read_text(), group)} for group in ("api", "worker", "flower")}
    assert "flask" in names["api"] - names["worker"] - names["flower"]
    assert "docker" in names["worker"] - names["api"] - names["flower"]
    assert "pytest" not in names["api"] | names["worker"] | names["flower"]


def test_development_installs_the_whole_lock() -> None:
    assert part(LOCK.read_text(), "dev") == entries(LOCK.read_text())


def test_every_package_of_the_lock_has_hashes_and_none_says_where_it_comes_from() -> None:
    text = LOCK.read_text()
    assert [entry.name for entry in entries(text) if " --hash=sha256:" not in entry.text] == []
    assert "://" not in text


def test_a_package_with_a_version_for_each_platform_is_in_a_part_with_all_of_them() -> None:
    lock = (
        "# made by a tool\n"
        "a==1 ; sys_platform == 'win32' \\\n    --hash=sha256:1\n    # via b\n"
        "a==2 ; sys_platform != 'win32' \\\n    --hash=sha256:2\n    # via\n    #   b\n    #   c\n"
        "b==1 \\\n    --hash=sha256:3\n    # via project (pyproject.toml:api)\n"
        "c==1 \\\n    --hash=sha256:4\n    # via project (pyproject.toml:dev)\n"
    )
    assert [entry.text.split()[0] for entry in part(lock, "api")] == ["a==1", "a==2", "b==1"]


def test_a_group_without_packages_is_refused_with_the_names_of_those_that_have_some() -> None:
    with pytest.raises(SystemExit, match=r"no packages for the group 'no-such' \(it has: api, dev, flower,"):
        main("no-such")
