"""A card of each job whose model was decided about, made after the job has ended; without one, the job is the same."""

import json
import subprocess
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from shared.jobs.model import JobState
from shared.links import Links
from shared.secrets.redactor import Redactor
from tests.fakes.worker import FakeWorker
from tests.support.log_lines import Log
from tests.unit.worker.attempt.deciding.proposals import CHAMPION, proposal
from worker.cards import cards, drawing
from worker.cards.card import Card, Metric, card_of
from worker.cards.page import page_of

HOSTILE = "<script>alert(1)</script>\"' $\\frac{ $x$ \x1b[31m\u202e\U0001f600 " + "w" * 5000
PNG = b"\x89PNG\r\n"
LINKS = Links(None, "http://flower", "https://retrain.example")


@pytest.fixture
def proposing(worker: FakeWorker) -> FakeWorker:
    worker.tracking.models.values = {"new": 0.9, "1": 0.8}
    worker.tracking.models.aliases = {CHAMPION: "1"}
    return worker


def decided_job(worker: FakeWorker, **request: Any) -> str:
    job_id = worker.submit(**request)
    worker.tracking.models.proposed = {f"run-{job_id}-1": [proposal("new")]}
    job = worker.run(job_id)
    assert job
    assert job.state is JobState.SUCCEEDED
    return job_id


def files_of(worker: FakeWorker, job_id: str) -> dict[str, bytes]:
    return {name: of for name, of in worker.tracking.runs[f"run-{job_id}-1"].files.items() if "card" in name}


def a_card(**values: object) -> Card:
    usual = {
        "title": HOSTILE,
        "verdict": HOSTILE,
        "compared_with": HOSTILE,
        "interval": (-0.01, 0.02, 0.05),
        "evidence": HOSTILE,
        "metrics": [Metric(HOSTILE, 0.9, 0.8), Metric("loss", None, -1e300), Metric("zero", 0.0, 0.0)],
        "facts": [(HOSTILE, HOSTILE)],
        "parameters": [(HOSTILE, HOSTILE)] * 50,
        "page": "https://retrain.example/ui/jobs/1",
    }
    return Card(**{**usual, **values})  # type: ignore[arg-type]


def test_after_the_job_has_ended_its_run_gets_both_files(proposing: FakeWorker) -> None:
    job_id = decided_job(proposing, parameters={"alpha": 0.5})
    assert files_of(proposing, job_id) == {}

    assert proposing.cards.once()
    assert not proposing.cards.once()

    files = files_of(proposing, job_id)
    assert sorted(files) == ["retrain/card.html", "retrain/card.png"]
    assert files["retrain/card.png"].startswith(PNG)
    page = files["retrain/card.html"].decode()
    for told in ("iris, version new", "promoted: 0.9 &gt; 0.8", "champion, version 1", "alpha", "0.5", job_id):
        assert told in page, told


def test_a_job_without_a_decision_gets_none(worker: FakeWorker) -> None:
    worker.run(worker.submit())

    assert not worker.cards.once()


def test_they_can_be_turned_off(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path, job_cards=False)
    worker.tracking.models.values = {"new": 0.9}
    decided_job(worker)

    assert not worker.cards.once()


@pytest.mark.parametrize("what", ["matplotlib is away", "MLflow is away", "no disk"])
def test_a_card_that_cannot_be_made_changes_nothing(
    proposing: FakeWorker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Log, what: str
) -> None:
    if what == "matplotlib is away":
        (tmp_path / "away").mkdir()
        (tmp_path / "away" / "sitecustomize.py").write_text("import sys\nsys.modules['matplotlib'] = None\n")
        monkeypatch.setattr(drawing, "ONE_THREAD", {"PYTHONPATH": str(tmp_path / "away")})
    job_id = decided_job(proposing)
    job = proposing.store.get(job_id)
    proposing.tracking.down = what == "MLflow is away"
    if what == "no disk":
        (tmp_path / "scratch").rename(tmp_path / "elsewhere")
        (tmp_path / "scratch").write_text("")
    turns = list[float]()

    class Once:
        """Lets the loop run until nothing waits."""

        def is_set(self) -> bool:
            return bool(turns)

        def wait(self, seconds: float) -> None:
            turns.append(seconds)

    proposing.cards.run_until(Once())  # type: ignore[arg-type]

    assert proposing.store.get(job_id) == job
    assert files_of(proposing, job_id) == {}
    assert turns
    assert not proposing.cards.once()
    assert "no card" in log.text


def test_very_many_cards_that_wait_are_not_all_kept(proposing: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = decided_job(proposing)
    job, decided = proposing.store.get(job_id), proposing.store.of_attempt(job_id, 1)
    made = list[Card]()

    def draw(card: Card, _folder: Path) -> bytes:
        made.append(card)
        return PNG

    monkeypatch.setattr(proposing.cards, "_draw", draw)
    for _ in range(3 * cards.MOST_WAITING):
        proposing.cards.offer(job, decided, Redactor())
    while proposing.cards.once():
        pass

    assert len(made) == cards.MOST_WAITING


def test_no_secret_and_nothing_invisible_is_on_it(proposing: FakeWorker) -> None:
    job_id = decided_job(proposing)
    job, decided = proposing.store.get(job_id), proposing.store.of_attempt(job_id, 1)
    said = {"token": "s3cr\x00et-word", "name": "a\u202eb\x1b[31m"}

    card = card_of(
        replace(job, request={**job.request, "parameters": said}), decided, Redactor(["s3cr et-word", "iris"]), LINKS
    )

    assert card.parameters == [("token", "***"), ("name", "a b [31m")]
    assert card.title == "***, version new"
    assert card.page == f"https://retrain.example/ui/jobs/{job_id}"


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = set[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(name for name, _ in attrs)}


def test_names_are_text_in_its_page() -> None:
    page, tags = page_of(a_card()), Tags()
    tags.feed(page)

    assert "script" not in tags.seen
    assert not [each for each in tags.seen if each.startswith("on") or each == "src"]
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("card", [a_card(), a_card(metrics=[], facts=[], parameters=[], interval=None, evidence="")])
def test_whatever_is_on_it_it_is_drawn(card: Card, tmp_path: Path) -> None:
    assert drawing.draw(card, tmp_path).startswith(PNG)


def test_the_process_that_draws_has_none_of_the_workers_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = dict[str, str]()

    def run(command: list[str], **given: object) -> "subprocess.CompletedProcess[bytes]":
        seen.update(given["env"])  # type: ignore[call-overload]
        return subprocess.CompletedProcess(command, 0, PNG, b"")

    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    monkeypatch.setattr("worker.cards.drawing.subprocess.run", run)
    drawing.draw(a_card(), tmp_path)

    assert set(seen) == {"PATH", "MPLCONFIGDIR", *drawing.ONE_THREAD}


def test_what_is_given_to_it_is_plain_json() -> None:
    assert json.loads(json.dumps(asdict(a_card()), allow_nan=False))["metrics"][0]["ours"] == 0.9
