"""Distributions that a test installs in a folder of its own: their metadata, without pip."""

from collections.abc import Mapping
from pathlib import Path

import pytest


def install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, group: str, entry_points: Mapping[str, str]
) -> None:
    """Put the folder on sys.path, with the metadata of a distribution that has these entry points."""
    write_metadata(folder, name=name, group=group, entry_points=entry_points)
    monkeypatch.syspath_prepend(folder)


def write_metadata(folder: Path, *, name: str, group: str, entry_points: Mapping[str, str]) -> None:
    """Write what pip would write of it."""
    metadata = folder / f"{name.replace('-', '_')}-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    lines = "".join(f"{each} = {value}\n" for each, value in entry_points.items())
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{lines}")
