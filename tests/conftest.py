"""Which tests are measured where coverage is asked for (`make test COVERAGE=1`)."""

from pathlib import Path

import pytest

UNIT = Path(__file__).parent / "unit"
SWITCHING = UNIT / "test_simulation.py"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Measure unit tests only: a tracer takes half as much time again.

    Most of what the others test runs in processes and containers, which are not measured. The simulation switches
    between greenlets; a tracer that follows those doubles the time of all unit tests.
    """
    if not item.path.is_relative_to(UNIT) or item.path == SWITCHING:
        item.add_marker(pytest.mark.no_cover)
