"""Which tests are measured where coverage is asked for (`make test COVERAGE=1`), and how CI tells of failures."""

import os
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


class _AtOnce:
    """Prints each failure when it happens: a run that CI cuts off for its time would tell of none."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print it, once: with xdist, by the process that shows the others' results."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.ensure_newline()
            terminal.write_sep("_", f"{report.nodeid} ({report.when})", red=True)
            terminal.write_line(report.longreprtext)


def pytest_configure(config: pytest.Config) -> None:
    """Register it in CI. Workers of xdist print nothing themselves."""
    if os.environ.get("CI") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_AtOnce(config))
