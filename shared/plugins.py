"""Loads implementations of a seam by name: ours from a table, others from installed distributions' entry points."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from shared.errors import ConfigurationError

T = TypeVar("T")


@dataclass(frozen=True)
class Registry(Generic[T]):
    """The implementations of one seam. ``setting`` is the variable that chooses among them.

    ``ours`` maps names to ``module:Class``: api/, worker/ and shared/ are not installed (docs/decisions/0004), so ours
    have no entry points. Others are in ``group``; one with the same name as ours is ignored.
    """

    group: str
    setting: str
    ours: Mapping[str, str]

    def names(self) -> tuple[str, ...]:
        """Return the names of all that can be loaded here."""
        return tuple(sorted({*self.ours, *entry_points(group=self.group).names}))

    def load(self, name: str) -> T:
        """Import the class of that name; raise ConfigurationError if there is none or it cannot be imported."""
        found = self._find(name)
        try:
            return cast(T, found.load())
        except (ImportError, AttributeError) as error:
            raise self._wrong(name, f"{found.value} cannot be imported: {error}. Correct its installation.") from error

    def _find(self, name: str) -> EntryPoint:
        if name in self.ours:
            return EntryPoint(name, self.ours[name], self.group)
        found = {each.value: each for each in entry_points(group=self.group, name=name)}
        if not found:
            raise self._wrong(name, f"which is not one of {', '.join(self.names())}.")
        if len(found) > 1:
            raise self._wrong(name, f"which is {' and '.join(sorted(found))}. Uninstall all but one.")
        return next(iter(found.values()))

    def _wrong(self, name: str, why: str) -> ConfigurationError:
        return ConfigurationError(f"{self.setting} names {name!r}, {why}", setting=self.setting, value=name)
