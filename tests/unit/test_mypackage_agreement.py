"""What the service and mypackage agree on is in mypackage/protocol.py; here, what each has a form of its own for."""

import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import get_args

import pytest

from mypackage import base_models
from mypackage.dataset.cache import Cache
from mypackage.dataset.records import DatasetRecord
from mypackage.gate import decision as gate
from mypackage.gate import rules
from mypackage.gate.alias_moves import previous_alias
from shared.jobs.promotions import Kind, NewPromotion, PromotionState
from shared.requests.parts import SERVICE_FIELDS, Promotion
from shared.requests.texts import Direction
from tests.fakes.worker import FakeWorker
from worker.tracking import training_tags

ROOT = Path(__file__).parents[2]
LOADED = """
import sys
before = set(sys.modules)
import mypackage.protocol
print(*{name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)
"""


def test_the_protocol_loads_nothing_but_the_standard_library() -> None:
    command = [sys.executable, "-S", "-c", LOADED]  # without site-packages, whose hooks load things of their own
    loaded = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert loaded.split() == ["mypackage"]


def test_the_cache_is_where_the_worker_says_and_as_big(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path, dataset_cache=str(tmp_path), dataset_cache_bytes=7)
    worker.run(worker.submit())
    cache = Cache.of(worker.host.started[-1].env)
    assert (cache._folder, cache._max_bytes) == (tmp_path, 7)


def test_the_worker_reads_of_a_decision_what_the_gate_writes() -> None:
    assert {field.name for field in fields(gate.DecisionRecord)} == set(training_tags.DECISION_FIELDS)


def test_the_worker_reads_of_data_and_base_model_what_the_training_records() -> None:
    data = DatasetRecord("http", repo="r", rev="v", path="p", digest="d")
    model = base_models.BaseModel("s", "r", "n", "1")
    assert training_tags.dataset_of(data.tags) == {name: asdict(data)[name] for name in training_tags.DATASET_FIELDS}
    assert training_tags.base_model_of(model.tags) == asdict(model)


@pytest.mark.parametrize("alias", ["champion", "staging"])
def test_the_service_gives_the_replaced_version_the_alias_that_the_gate_alone_would(alias: str) -> None:
    new = NewPromotion("iris", alias, Kind.ROLLBACK, "2", "1", PromotionState.MOVING, "ann", "because")
    assert new.previous_alias == previous_alias(alias)


def test_a_request_may_ask_of_the_gate_what_it_reads() -> None:
    assert set(Promotion.model_fields) - SERVICE_FIELDS == set(rules.FIELDS)
    assert {*get_args(Direction)} == {rules.HIGHER, rules.LOWER}
