"""The catalogs: functions that give a dataset, and what is known of it, by name."""

from collections import UserDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class _Datasets(UserDict[str, Callable[[], Any]]):
    def register(self, name: str, func: Callable[[], Any]) -> None:
        """Refuse a name that is taken, as detectron2 does."""
        assert name not in self, f"Dataset '{name}' is already registered!"
        self[name] = func

    def get(self, name: str) -> Any:  # type: ignore[override]
        """Call the function, as detectron2 does."""
        return self[name]()


class _Metadata(SimpleNamespace):
    def set(self, **known: Any) -> "_Metadata":
        """Note it."""
        self.__dict__.update(known)
        return self


class _AllMetadata(UserDict[str, _Metadata]):
    def get(self, name: str) -> _Metadata:  # type: ignore[override]
        """Return what is known of it, at first nothing."""
        return self.setdefault(name, _Metadata())


DatasetCatalog, MetadataCatalog = _Datasets(), _AllMetadata()
