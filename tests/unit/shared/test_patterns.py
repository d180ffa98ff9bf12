"""Patterns of repositories, branches and models."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.triggers.patterns import matches
from tests.support.growth import grows_faster_than_its_input

FEW = st.text("ab*", max_size=8)


@settings(max_examples=300)
@given(pattern=FEW, text=st.text("ab", max_size=12))
def test_a_star_stands_for_any_characters(pattern: str, text: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL)
    assert matches(pattern, text) == (expected is not None)


@pytest.mark.parametrize("pattern", ["*a*a*a*a*a*a*a*a*b", "*" * 500, "a*" * 200 + "b"])
def test_no_text_keeps_a_pattern_busy(pattern: str) -> None:
    assert not grows_faster_than_its_input(lambda text: matches(pattern, text), "…a…", size=100_000)
