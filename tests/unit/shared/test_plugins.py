"""Implementations of a seam are found by name: those of this repository, and those of other distributions."""

from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.plugins import Registry
from tests.support.distributions import install

GROUP = "retrain.tests"
REGISTRY = Registry[type](GROUP, setting="RUNNER", ours={"ours": "fractions:Fraction", "gone": "fractions:Gone"})


def test_ours_are_found_without_an_entry_point() -> None:
    assert REGISTRY.load("ours").__name__ == "Fraction"


def test_those_of_another_distribution_are_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, name="other", group=GROUP, entry_points={"theirs": "other_code:Theirs"})
    (tmp_path / "other_code.py").write_text("class Theirs: pass\n")
    assert REGISTRY.names() == ("gone", "ours", "theirs")
    assert REGISTRY.load("theirs").__name__ == "Theirs"


def test_another_distribution_does_not_take_the_place_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, name="other", group=GROUP, entry_points={"ours": "decimal:Decimal"})
    assert REGISTRY.load("ours").__name__ == "Fraction"


def test_a_wrong_name_is_answered_with_the_setting_and_the_names_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"RUNNER names 'podman', which is not one of gone, ours\."):
        REGISTRY.load("podman")


def test_a_class_that_cannot_be_imported_is_told_with_where_it_should_be() -> None:
    with pytest.raises(ConfigurationError, match=r"RUNNER names 'gone', fractions:Gone cannot be imported: .*Gone"):
        REGISTRY.load("gone")


def test_two_distributions_with_one_name_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"one": "fractions:Fraction", "two": "decimal:Decimal"}.items():
        install(tmp_path, monkeypatch, name=name, group=GROUP, entry_points={"theirs": value})
    with pytest.raises(ConfigurationError, match=r"decimal:Decimal and fractions:Fraction\. Uninstall all but one"):
        REGISTRY.load("theirs")
