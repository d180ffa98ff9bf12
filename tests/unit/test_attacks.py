"""The attack table names defences and tests that exist; `make attacks` shows that each fails without its defence."""

import pytest

from tests.attacks.table import PAGE, Attack, page, read_table, wrong_with

TABLE = read_table()


@pytest.mark.parametrize("attack", TABLE, ids=lambda attack: attack.name)
def test_a_row_names_a_defence_and_a_test_that_are_there(attack: Attack) -> None:
    assert list(wrong_with(attack)) == []


def test_the_page_is_made_of_the_table() -> None:
    assert PAGE.read_text() == page(TABLE), "make reference"
