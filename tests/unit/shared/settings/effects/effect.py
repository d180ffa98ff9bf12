"""A row of the table: another value of a setting, and where to see that it counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.settings import Settings


@dataclass(frozen=True)
class Effect:
    """``look`` returns what the process makes of its settings; with ``value``, that is something else than without.

    ``beside`` are settings that both have. In values, {folder} is a folder of the test's, in which ``files`` are.
    """

    value: str
    look: Callable[[Settings], Any]
    beside: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
