"""Compares two versions of a model: what made them, and how good they are. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Told = Mapping[str, Any]  # a version as the API answers it
SAME = "the same"


@dataclass(frozen=True)
class Compared:
    """One thing of both: as text, and for a metric by how much b differs and what that means."""

    name: str
    a: str | None
    b: str | None
    difference: str = ""
    meaning: str = ""  # better, worse or the same; empty where that is not known

    @property
    def differs(self) -> bool:
        """Return whether the two are not the same."""
        return self.a != self.b


def metrics_of(a: Told, b: Told) -> Sequence[Compared]:
    """Return all metrics of both: first those that decide, then by name."""
    directions = {**a["directions"], **b["directions"]}
    names = sorted({*a["metrics"], *b["metrics"]}, key=lambda name: (name not in directions, name))
    return [_metric(name, a["metrics"].get(name), b["metrics"].get(name), directions.get(name)) for name in names]


def params_of(a: Told, b: Told) -> Sequence[Compared]:
    """Return all parameters of both: first those that differ, then by name."""
    return _differing_first(_pairs(_params(a), _params(b)))


def made_of(a: Told, b: Told) -> Sequence[Compared]:
    """Return what both were made of: code, data, image, base model."""
    return _pairs(_origin(a), _origin(b))


def _pairs(a: Mapping[str, str | None], b: Mapping[str, str | None]) -> Sequence[Compared]:
    return [Compared(name, a.get(name), b.get(name)) for name in dict.fromkeys([*a, *b])]


def _differing_first(found: Sequence[Compared]) -> Sequence[Compared]:
    return sorted(found, key=lambda each: (not each.differs, each.name))


def _metric(name: str, a: float | None, b: float | None, direction: str | None) -> Compared:
    shown = Compared(name, _shown(a), _shown(b))
    if a is None or b is None:
        return shown
    if a == b:
        return replace(shown, difference="0", meaning=SAME)
    is_better = {"higher_is_better": b > a, "lower_is_better": b < a}.get(direction or "")
    meaning = "" if is_better is None else "better" if is_better else "worse"
    return replace(shown, difference=f"{b - a:+.3g}", meaning=meaning)


def _shown(value: float | None) -> str | None:
    return None if value is None else f"{value:.6g}"


def _params(version: Told) -> Mapping[str, str | None]:
    """Return what its run has logged, and what its job asked for where that is not logged."""
    asked = (version["job"] or {}).get("request", {}).get("parameters") or {}
    return {**{str(name): _text(value) for name, value in asked.items()}, **version["params"]}


def _origin(version: Told) -> Mapping[str, str | None]:
    job = version["job"] or {}
    resolved, request = job.get("resolved") or {}, job.get("request") or {}
    data, base = resolved.get("dataset") or {}, resolved.get("base_model") or {}
    return {
        "Code": _text(request.get("git_uri")),
        "Commit": _text(resolved.get("commit_sha")),
        "Entry point": _text(request.get("entry_point")),
        "Data": _text(data.get("repo")),
        "Revision of the data": _text(data.get("rev")),
        "Path in the data": _text(data.get("path")),
        "Digest of the data": _text(data.get("digest")),
        "Image": _text(resolved.get("image")),
        "Id of the image": _text(resolved.get("image_id")),
        "Base model": _text(base.get("name") or request.get("base_model")),
        "Version of the base model": _text(base.get("version") or resolved.get("base_model_version")),
    }


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)[:1000]
