"""What every job store says of each topic that people watch: another sign once something of it has changed."""

from collections.abc import Callable

import pytest

from shared.jobs.model import JobState
from shared.jobs.observations import NewObservation
from shared.jobs.promotions import Kind, NewPromotion, PromotionState
from shared.jobs.records import Ending
from shared.jobs.signs import Topic
from shared.jobs.store import JobStore
from shared.scheduling.limits import Limits
from tests.support.jobs import claim, ended, running, submit
from tests.support.kept_triggers import NAME, add, report
from tests.support.stores import MakeStore

Act = Callable[[], object]


@pytest.fixture
def store(make_store: MakeStore) -> JobStore:
    return make_store(limits=Limits(per_key=9))


def changed(store: JobStore, topic: Topic, act: Act, **of: str) -> bool:
    before = store.get_sign(topic, **of)
    assert store.get_sign(topic, **of) == before
    act()
    return store.get_sign(topic, **of) != before


def test_each_step_of_a_job_changes_the_sign_of_jobs(store: JobStore) -> None:
    assert changed(store, Topic.JOBS, lambda: submit(store))
    job_id = submit(store)
    held = claim(store, submit(store))
    for act in (
        lambda: submit(store),
        lambda: claim(store, job_id),
        lambda: store.started(held, runner="docker", container="c"),
        lambda: store.cancel(held.job.id, force=False),
        lambda: store.finish(held, Ending(JobState.FAILED)),
        lambda: ended(store),
    ):
        assert changed(store, Topic.JOBS, act)


def test_what_others_do_is_not_told_to_a_team(store: JobStore) -> None:
    submit(store, team="red")
    other = submit(store, team="blue")
    assert not changed(store, Topic.JOBS, lambda: store.cancel(other, force=False), team="red")
    assert changed(store, Topic.JOBS, lambda: submit(store, team="red"), team="red")


def test_a_job_that_has_brought_a_model_a_move_and_an_observation_change_the_sign_of_models(store: JobStore) -> None:
    held = running(store)
    assert changed(store, Topic.MODELS, lambda: store.finish(held, Ending(JobState.SUCCEEDED)))
    move = NewPromotion("iris", "champion", Kind.ROLLBACK, "1", None, PromotionState.MOVING, "ann", "because")
    assert changed(store, Topic.MODELS, lambda: store.carried_out(store.propose(move, seen=0).id))
    assert changed(store, Topic.MODELS, lambda: store.observe(NewObservation("iris", "accuracy", 0.9, "ann")))


def test_what_is_done_to_a_trigger_and_what_is_sent_to_it_change_the_sign_of_triggers(store: JobStore) -> None:
    for act in (
        lambda: add(store),
        lambda: report(store, "a signal"),
        lambda: store.pause_trigger(NAME, reason="for now"),
        lambda: store.resume_trigger(NAME),
        lambda: store.pause_triggers(reason="all"),
        store.resume_triggers,
        lambda: store.delete_trigger(NAME),
    ):
        assert changed(store, Topic.TRIGGERS, act)
