"""The firewall of trainings: what its rules are, that they are put again when they vanish, and what the worker sees."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from deploy.firewall.__main__ import is_fresh, is_in_use, keep
from deploy.firewall.iptables import Firewall, RuleRefused, Tables
from deploy.firewall.rules import Place, Plan, plan_of
from shared.scheduling.hosts import QueueCode
from tests.fakes.worker import FakeWorker
from worker.runners.firewall import FIREWALL_SECONDS

BRIDGE = {"TRAINING_BRIDGE": "train"}


@dataclass(frozen=True)
class FakeTables(Tables):
    """A packet filter in memory; ``looks`` counts how often it was read."""

    chains: dict[str, list[str]] = field(
        default_factory=lambda: {"INPUT": [], "FORWARD": ["-j DOCKER-USER"], "DOCKER-USER": []}
    )
    refusals: list[str] = field(default_factory=list)

    def run(self, *words: str, text: str | None = None, tool: str = "") -> str:
        """As iptables and iptables-restore --noflush."""
        if self.refusals:
            raise RuleRefused(self.refusals[0])
        if tool:
            self._restore(text or "")
            return ""
        _, action, *rest = words
        if action == "--list-rules":
            return "\n".join(f"-A {chain} {rule}" for chain, rules in self.chains.items() for rule in rules)
        chain, rule = rest[0], " ".join(rest[1:])
        if action == "--delete-chain":
            del self.chains[chain]
        elif action == "--flush":
            self.chains[chain].clear()
        elif action == "--insert":
            self.chains[chain].insert(0, rule)
        elif rule not in self.chains[chain]:
            raise RuleRefused("no such rule")
        elif action == "--delete":
            self.chains[chain].remove(rule)
        return ""

    def _restore(self, text: str) -> None:
        for line in text.splitlines():
            if line.startswith(":"):
                self.chains[line[1:].split()[0]] = []
            elif line.startswith("-A "):
                _, chain, rule = line.split(maxsplit=2)
                self.chains[chain].append(rule)


class Looks(Event):
    """Ends the loop after so many looks, and does something in between."""

    def __init__(self, *between: object) -> None:
        super().__init__()
        self._between: Iterator[object] = iter(between)

    def wait(self, timeout: float | None = None) -> bool:
        """No time passes."""
        action = next(self._between, None)
        if callable(action):
            action()
        else:
            self.set()
        return self.is_set()


@pytest.fixture
def tables() -> FakeTables:
    return FakeTables()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "stands"


def rules(tables: FakeTables, chain: str = "RETRAIN-train") -> list[str]:
    return tables.chains[chain]


def test_training_reaches_mlflow_and_what_the_operator_names_before_all_else_of_its_kind_is_dropped(
    tables: FakeTables,
) -> None:
    plan = Plan("train", beside=(Place("172.20.0.3", 5007),), networks=("10.1.2.0/24",))
    Firewall(tables).put(plan)
    found = rules(tables)
    mlflow = "-o train -d 172.20.0.3/32 -p tcp -m tcp --dport 5007 -j ACCEPT"
    assert found.index(mlflow) < found.index("-o train -j DROP") < found.index("-d 10.1.2.0/24 -j RETURN")
    assert found.index("-d 10.1.2.0/24 -j RETURN") < found.index("-d 10.0.0.0/8 -j DROP")
    assert "-d 169.254.0.0/16 -j DROP" in found
    assert rules(tables, "RETRAIN-IN-train")[-2:] == ["-d 10.1.2.0/24 -j RETURN", "-j DROP"]
    assert rules(tables, "DOCKER-USER") == ["-i train -j RETRAIN-train"]
    assert rules(tables, "INPUT") == ["-i train -j RETRAIN-IN-train"]


def test_where_docker_has_no_chain_for_others_the_rules_come_first_of_what_is_forwarded(tables: FakeTables) -> None:
    tables.chains["FORWARD"] = ["-j ACCEPT"]
    Firewall(tables).put(Plan("train"))
    assert rules(tables, "FORWARD") == ["-i train -j RETRAIN-train", "-j ACCEPT"]


@pytest.mark.parametrize(
    "harm",
    [
        lambda chains: chains["DOCKER-USER"].clear(),
        lambda chains: chains["INPUT"].clear(),
        lambda chains: chains["RETRAIN-train"].pop(),
        lambda chains: chains["RETRAIN-IN-train"].insert(0, "-j ACCEPT"),
    ],
)
def test_rules_that_somebody_took_away_are_put_again(harm: object, tables: FakeTables, state: Path) -> None:
    whole: list[dict[str, list[str]]] = []

    def look() -> None:
        whole.append({name: list(each) for name, each in tables.chains.items() if name != "FORWARD"})

    def do_harm() -> None:
        look()
        harm(tables.chains)  # type: ignore[operator]

    keep(Firewall(tables), lambda: Plan("train"), state, Looks(do_harm, look))
    assert whole[0] == whole[1]
    assert is_fresh(state)


def test_when_even_what_leads_to_dockers_chain_was_flushed_they_come_first_and_nothing_of_that_stays(
    tables: FakeTables,
) -> None:
    firewall, plan = Firewall(tables), Plan("train")
    firewall.put(plan)
    for chain in tables.chains.values():
        chain.clear()  # iptables -F
    assert not firewall.stands(plan)
    firewall.put(plan)
    assert rules(tables, "FORWARD") == ["-i train -j RETRAIN-train"]
    tables.chains["FORWARD"].insert(0, "-j DOCKER-USER")  # Docker was started anew
    assert not firewall.stands(plan)
    firewall.put(plan)
    assert rules(tables, "DOCKER-USER") == ["-i train -j RETRAIN-train"]
    firewall.remove(plan)
    assert tables.chains == {"INPUT": [], "FORWARD": ["-j DOCKER-USER"], "DOCKER-USER": []}


def test_a_new_address_of_mlflow_is_let_in_and_the_old_one_is_not(tables: FakeTables, state: Path) -> None:
    plans = iter(
        [Plan("train", beside=(Place("172.20.0.3", 5007),)), Plan("train", beside=(Place("172.20.0.9", 5007),))]
    )
    keep(Firewall(tables), lambda: next(plans), state, Looks(lambda: None))
    assert [rule.split()[3] for rule in rules(tables) if "ACCEPT" in rule] == ["172.20.0.9/32"]


def test_while_the_rules_cannot_be_put_the_worker_is_not_told_that_they_stand(tables: FakeTables, state: Path) -> None:
    seen: list[bool] = []

    def look() -> None:
        seen.append(is_fresh(state))

    def refuse() -> None:
        look()
        tables.refusals.append("Permission denied")

    def give_in() -> None:
        look()
        tables.refusals.clear()

    looks = Looks(refuse, give_in, look)
    keep(Firewall(tables), lambda: Plan("train"), state, looks)
    assert seen == [True, False, True]


def test_nothing_is_left_of_it_at_its_end(tables: FakeTables) -> None:
    firewall, before = Firewall(tables), {name: list(each) for name, each in tables.chains.items()}
    firewall.put(Plan("train"))
    firewall.remove(Plan("train"))
    assert tables.chains == before


def test_training_that_goes_on_is_seen_on_its_bridge(tmp_path: Path) -> None:
    assert not is_in_use("train", tmp_path)
    (tmp_path / "train/brif").mkdir(parents=True)
    assert not is_in_use("train", tmp_path)
    (tmp_path / "train/brif/veth1").touch()
    assert is_in_use("train", tmp_path)


def test_the_plan_comes_from_the_environment_and_from_what_mlflow_announces(tmp_path: Path) -> None:
    (tmp_path / "tracking").write_text("172.20.0.3 172.21.0.4 fd00::3 nonsense\n")
    given = {
        **BRIDGE,
        "TRACKING_ADDRESS_FILE": str(tmp_path / "tracking"),
        "CONTAINER_TRACKING_URI": "https://10.9.9.9/mlflow",
        "TRAINING_ALLOWED_NETWORKS": "10.1.2.0/24, 192.168.7.9",
    }
    assert plan_of(given) == Plan(
        "train",
        beside=(Place("172.20.0.3", 5007), Place("172.21.0.4", 5007)),
        elsewhere=(Place("10.9.9.9", 443),),
        networks=("10.1.2.0/24", "192.168.7.9/32"),
    )


@pytest.mark.parametrize("wrong", [{"TRAINING_BRIDGE": ""}, {**BRIDGE, "TRAINING_ALLOWED_NETWORKS": "10.1.2"}])
def test_a_plan_that_is_wrong_puts_no_rules_and_says_so(
    wrong: dict[str, str], tables: FakeTables, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep(Firewall(tables), lambda: plan_of(wrong), state, Looks(lambda: None))
    assert not state.exists()
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("age_seconds", "why"), [(0, None), (FIREWALL_SECONDS + 1, QueueCode.NO_FIREWALL)])
def test_a_host_takes_no_attempt_when_there_was_no_sign_of_the_firewall_for_long(
    age_seconds: float, why: QueueCode | None, tmp_path: Path, state: Path
) -> None:
    worker = FakeWorker.new(tmp_path, training_firewall_file=str(state))
    state.touch()
    then = state.stat().st_mtime - age_seconds
    os.utime(state, (then, then))
    assert worker.here.now().closed_because is why


def test_a_job_waits_while_the_firewall_is_away_and_says_so(tmp_path: Path, state: Path) -> None:
    worker = FakeWorker.new(tmp_path, training_firewall_file=str(state))
    job_id = worker.submit()
    worker.heartbeat.beat()
    worker.run(job_id)
    assert worker.store.get(job_id).attempts == ()
    place = worker.store.find_queue_position(job_id)
    assert place is not None
    assert place.code is QueueCode.NO_FIREWALL
    assert "firewall" in place.message

    state.touch()
    worker.run(job_id)
    assert len(worker.store.get(job_id).attempts) == 1
