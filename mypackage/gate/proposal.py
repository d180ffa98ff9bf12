"""A model that a training proposes to the service, as it is kept in a tag of the job's run. No I/O.

The service reads what any training may have written: nothing of it is trusted.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .rules import FIELDS

MOST_CHARACTERS = 4500  # MLflow cuts longer tags
NAME_CHARACTERS = 256


@dataclass(frozen=True)
class Proposal:
    """One call of the gate. ``rules`` are train.py's own; ``version`` is None if nothing was registered yet.

    ``at`` is in nanoseconds since the epoch. ``expects`` says whether the training itself found it better.
    """

    model_name: str
    model_uri: str
    run_id: str
    metric: str
    lower_is_better: bool
    alias: str
    at: int
    expects: bool
    version: str | None = None
    dataset: str | None = None
    rules: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return it as JSON, without the tags if they are too long for MLflow."""
        whole = json.dumps(asdict(self), ensure_ascii=False)
        return whole if len(whole) <= MOST_CHARACTERS else json.dumps(asdict(self) | {"tags": {}}, ensure_ascii=False)


def read_proposal(text: str) -> Proposal | None:
    """Return the proposal; None if it is not one, such as one that a later version of this module writes otherwise."""
    try:
        said = json.loads(text)
        if not isinstance(said, dict):
            return None
        return Proposal(
            **{name: _text(said[name]) for name in ("model_name", "model_uri", "run_id", "metric", "alias")},
            version=_text(said["version"]) if said.get("version") else None,
            dataset=_text(said["dataset"]) if said.get("dataset") else None,
            lower_is_better=said["lower_is_better"] is True,
            at=int(said["at"]),
            expects=said["expects"] is True,
            rules={name: value for name, value in said.get("rules", {}).items() if name in FIELDS},
            tags={_text(name): str(value) for name, value in said.get("tags", {}).items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > NAME_CHARACTERS * 4 or not value.isprintable():
        raise ValueError
    return value
