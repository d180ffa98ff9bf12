"""mypackage stands alone, so what it and the worker must both know is written down twice: the same, always."""

from dataclasses import asdict, fields
from pathlib import Path

from mypackage import base_models, job_run, prep_utils
from mypackage.dataset.cache import Cache
from mypackage.dataset.records import DatasetRecord
from mypackage.gate import decision as gate
from mypackage.gate import promotion, registry, rules
from mypackage.gate import runs as gate_runs
from shared.requests.retrain_request import Promotion
from tests.fakes.worker import FakeWorker
from worker.attempt import dataset_pin, preparation
from worker.tracking import base_model, run_tags, training_tags
from worker.tracking import client as tracking


def test_both_know_the_variables_of_the_training_by_the_same_names() -> None:
    assert rules.PROMOTION_VARIABLE == preparation.PROMOTION_VARIABLE
    assert prep_utils.PIN_VARIABLE == dataset_pin.VARIABLE
    assert job_run.RUN_VARIABLE == tracking.RUN_VARIABLE


def test_the_cache_is_where_the_worker_says_and_as_big(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path, dataset_cache=str(tmp_path), dataset_cache_bytes=7)
    worker.run(worker.submit())
    cache = Cache.of(worker.host.started[-1].env)
    assert (cache._folder, cache._max_bytes) == (tmp_path, 7)


def test_both_know_the_tags_of_the_run_by_the_same_names() -> None:
    assert gate_runs.DECISION_TAG == training_tags.DECISION_TAG
    assert promotion.JOB_TAG == run_tags.JOB_ID
    assert registry.FENCED_TAG == tracking.FENCED_TAG
    assert registry.JOB_RUN_TAG == tracking.JOB_RUN_TAG


def test_the_worker_reads_of_a_decision_what_the_gate_writes() -> None:
    assert {field.name for field in fields(gate.DecisionRecord)} == set(training_tags.DECISION_FIELDS)


def test_the_worker_reads_of_data_and_base_model_what_the_training_records() -> None:
    dataset = DatasetRecord("http", repo="r", rev="v", path="p", digest="d")
    assert set(dataset.tags) >= {f"dataset.{name}" for name in training_tags.DATASET_FIELDS}
    assert set(asdict(base_models.BaseModel("s", "r"))) == set(training_tags.BASE_MODEL_FIELDS)


def test_a_request_may_ask_of_the_gate_what_it_reads() -> None:
    assert set(Promotion.model_fields) == set(rules.FIELDS)


def test_both_take_the_same_for_a_registered_model() -> None:
    assert base_models.REGISTERED.pattern == base_model.REGISTERED.pattern
