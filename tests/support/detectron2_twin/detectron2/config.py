"""Configurations: those keys, with detectron2's defaults, that a training of ours sets or the twin reads."""

from pathlib import Path
from typing import Any

import yaml

DEFAULTS = """
DATASETS: {TRAIN: [], TEST: []}
DATALOADER: {NUM_WORKERS: 4}
MODEL: {DEVICE: cuda, WEIGHTS: "", ROI_HEADS: {NUM_CLASSES: 80}, RETINANET: {NUM_CLASSES: 80}}
SOLVER:
  {IMS_PER_BATCH: 16, BASE_LR: 0.001, MAX_ITER: 40000, STEPS: [30000], WARMUP_ITERS: 1000, CHECKPOINT_PERIOD: 5000}
TEST: {EVAL_PERIOD: 0}
OUTPUT_DIR: ./output
SEED: -1
"""


class CfgNode(dict[str, Any]):
    """A section, whose values are attributes."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__({name: CfgNode(each) if isinstance(each, dict) else each for name, each in values.items()})
        self.__dict__["_frozen"] = False

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__["_frozen"]:
            raise AttributeError(f"Attempted to set {name} to {value}, but CfgNode is immutable")
        self[name] = value

    def merge_from_file(self, file: str) -> None:
        """Take over what the file has."""
        _merge(self, yaml.safe_load(Path(file).read_text()))

    def merge_from_list(self, parts: list[Any]) -> None:
        """Take over values after their keys, each of the type that the value had."""
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            *sections, name = key.split(".")
            _merge(self, _nested(sections, {name: value}))

    def freeze(self) -> None:
        """Refuse changes from now on."""
        for section in (self, *(each for each in self.values() if isinstance(each, CfgNode))):
            section.__dict__["_frozen"] = True

    def dump(self) -> str:
        """Return it as a file has it."""
        return yaml.safe_dump(_plain(self))


def get_cfg() -> CfgNode:
    """Return the defaults."""
    return CfgNode(yaml.safe_load(DEFAULTS))


def _merge(node: CfgNode, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if name not in node:
            raise KeyError(f"Non-existent config key: {name}")
        if isinstance(value, dict):
            _merge(node[name], value)
            continue
        old, new = (list if isinstance(each, tuple) else type(each) for each in (node[name], value))
        if old is not new:
            raise ValueError(f"Type mismatch ({old} vs. {new}) for config key: {name}")
        setattr(node, name, value)


def _nested(sections: list[str], values: dict[str, Any]) -> dict[str, Any]:
    for section in reversed(sections):
        values = {section: values}
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return list(value) if isinstance(value, tuple) else value
