"""Triggers are what the files of TRIGGERS_DIR say."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient

from api.services import EXTENSION, Services
from api.triggers.files import read_files
from api.triggers.folder import TriggerFolder
from shared.access.audit import AuditFilter
from shared.errors import ConfigurationError
from shared.secrets.vault import Vault
from tests.fakes.store import MemoryStore
from tests.support.log_lines import Log
from tests.support.waiting import wait_until
from tests.unit.conftest import BODY, MakeApp

TOKEN = "ghp_0123456789abcdef"
NIGHTLY = {"name": "nightly", "template": BODY, "when": {"cron": "30 2 * * *"}}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "triggers"
    folder.mkdir()
    return folder


@pytest.fixture
def here(make_app: MakeApp, files: Path) -> Services:
    found: Services = make_app(triggers_dir=files).extensions[EXTENSION]
    return found


@pytest.fixture
def folder(here: Services, files: Path) -> TriggerFolder:
    return TriggerFolder(files, here)


@pytest.fixture
def client(make_app: MakeApp, files: Path) -> FlaskClient:
    return make_app(triggers_dir=files).test_client()


def write(file: Path, **fields: Any) -> None:
    """Write a trigger, with a time of change that no earlier writing had."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text(yaml.safe_dump({**NIGHTLY, **fields}))
    os.utime(file, ns=(before + 10**9, before + 10**9))


def sources(store: MemoryStore) -> Mapping[str, str | None]:
    return {each.name: each.source for each in store.list_triggers()}


def test_the_audit_says_that_the_files_made_and_deleted_it(
    folder: TriggerFolder, files: Path, store: MemoryStore
) -> None:
    write(files / "a.yaml")
    folder.look()
    (files / "a.yaml").unlink()
    folder.look()
    told = [(each.caller, each.kind, each.subject) for each in store.list_audit(AuditFilter(), limit=9)]
    assert told == [("file", "service", "trigger:nightly")] * 2


def test_policies_for_a_backtest_are_no_part_of_the_trigger(
    folder: TriggerFolder, files: Path, store: MemoryStore
) -> None:
    write(files / "nightly.yaml", policies={"weekly": {"cooldown": 604800}})
    folder.look()
    assert sources(store) == {"nightly": "nightly.yaml"}


def test_triggers_come_change_and_go_with_their_files(folder: TriggerFolder, files: Path, store: MemoryStore) -> None:
    write(files / "a.yaml")
    write(files / "b.yml", name="weekly")
    (files / "README.md").write_text("no trigger")
    folder.look()
    assert sources(store) == {"nightly": "a.yaml", "weekly": "b.yml"}
    write(files / "a.yaml", policy={"cooldown": 60})
    (files / "b.yml").unlink()
    folder.look()
    assert sources(store) == {"nightly": "a.yaml"}
    assert (store.get_trigger("nightly").policy, store.get_trigger("nightly").version) == ({"cooldown": 60}, 2)


def test_a_file_that_is_renamed_keeps_its_trigger(folder: TriggerFolder, files: Path, store: MemoryStore) -> None:
    write(files / "a.yaml")
    folder.look()
    before = store.get_trigger("nightly").id
    (files / "a.yaml").rename(files / "c.yaml")
    folder.look()
    assert sources(store) == {"nightly": "c.yaml"}
    assert store.get_trigger("nightly").id == before


def test_a_second_process_and_a_touched_file_write_nothing(
    folder: TriggerFolder, here: Services, files: Path, store: MemoryStore
) -> None:
    write(files / "a.yaml", template={**BODY, "git_uri": f"https://{TOKEN}@github.com/user/iris.git"})
    write(files / "s.yaml", name="drifted", when={"signal": {}}, secret="0123456789abcdef")
    folder.look()
    write(files / "a.yaml", template={**BODY, "git_uri": f"https://{TOKEN}@github.com/user/iris.git"})
    folder.look()
    TriggerFolder(files, here).look()
    assert [each.version for each in store.list_triggers()] == [1, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML at line"),
        ("a: &a [*a]", "is nested too deep"),
        ("\n".join(["a0: &a0 [x]", *(f"a{n + 1}: &a{n + 1} [{f'*a{n}, ' * 9}]" for n in range(9))]), "values"),
        ("- 1", "does not have the fields"),
        ("name: x", "template is required; when is required"),
        (yaml.safe_dump({**NIGHTLY, "when": {"cron": "x"}}), "when.cron is not a cron expression"),
        (yaml.safe_dump({**NIGHTLY, "when": {"signal": {}}}), "no secret for its senders"),
        (yaml.safe_dump({**NIGHTLY, "secret": "${TRIGGER_UNSET}"}), "no variable TRIGGER_UNSET"),
        (yaml.safe_dump({**NIGHTLY, "template": {**BODY, "git_uri": f"https://{TOKEN}@h"}}), "git_uri"),
    ],
)
def test_a_wrong_file_is_told_once_and_leaves_what_was(
    folder: TriggerFolder, files: Path, store: MemoryStore, log: Log, text: str, said: str
) -> None:
    write(files / "a.yaml")
    write(files / "b.yaml", name="weekly")
    folder.look()
    (files / "a.yaml").write_text(text)
    (files / "b.yaml").unlink()  # perhaps renamed to what cannot be read now
    folder.look()
    folder.look()
    assert sources(store) == {"nightly": "a.yaml", "weekly": "b.yaml"}
    [line] = [each for each in log.objects if each["level"] == "ERROR"]
    assert line["file"] == "a.yaml"
    assert said in line["cause"]
    assert TOKEN not in f"{line}"


def test_what_only_this_service_refuses_is_told_likewise(
    folder: TriggerFolder, files: Path, store: MemoryStore, log: Log
) -> None:
    write(files / "a.yaml")
    folder.look()
    write(files / "a.yaml", template={**BODY, "alerts": {"to": ["nobody"]}})
    folder.look()
    assert store.get_trigger("nightly").version == 1
    [line] = [each for each in log.objects if each["level"] == "ERROR"]
    assert "no alert channel" in line["cause"]


def test_two_files_with_one_name_and_a_name_of_a_persons_trigger_are_told(
    folder: TriggerFolder, client: FlaskClient, files: Path, store: MemoryStore, log: Log
) -> None:
    client.post("/triggers", json={**NIGHTLY, "name": "mine"})
    write(files / "a.yaml")
    write(files / "b.yaml")
    write(files / "c.yaml", name="mine")
    folder.look()
    assert sources(store) == {"mine": None, "nightly": "a.yaml"}
    assert [each["file"] for each in log.objects if each["level"] == "ERROR"] == ["b.yaml", "c.yaml"]


def test_secrets_come_from_variables_and_only_from_those_of_triggers(
    here: Services, files: Path, store: MemoryStore, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIGGER_TOKEN", TOKEN)
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    template = {**BODY, "git_uri": "https://${TRIGGER_TOKEN}@github.com/user/iris.git", "run_name": "${SECRET_KEY}"}
    write(files / "a.yaml", template=template)
    TriggerFolder(files, here).look()
    source = vault.open(store.secret_of_trigger("nightly")).source
    assert source is not None
    assert source.username == TOKEN
    assert store.get_trigger("nightly").template["run_name"] == "${SECRET_KEY}"
    assert TOKEN not in f"{read_files(files, {'TRIGGER_TOKEN': TOKEN})}"


def test_a_folder_that_cannot_be_read_deletes_nothing(
    folder: TriggerFolder, files: Path, store: MemoryStore, log: Log
) -> None:
    write(files / "a.yaml")
    folder.look()
    files.rename(files.with_name("gone"))
    folder.look()
    folder.look()
    assert sources(store) == {"nightly": "a.yaml"}
    assert [each["message"] for each in log.objects if each["level"] == "ERROR"] == [
        "the folder of triggers cannot be read"
    ]


def test_the_api_does_not_start_with_a_folder_that_is_not_there(make_app: MakeApp, tmp_path: Path) -> None:
    services: Services = make_app(triggers_dir=tmp_path / "gone").extensions[EXTENSION]
    with pytest.raises(ConfigurationError, match="TRIGGERS_DIR"):
        TriggerFolder.of(services)


def test_a_store_that_is_away_is_asked_again(folder: TriggerFolder, files: Path, store: MemoryStore) -> None:
    write(files / "a.yaml")
    store.down = True
    folder.look()
    store.down = False
    folder.look()
    assert sources(store) == {"nightly": "a.yaml"}


def test_people_change_a_files_trigger_only_once_there_is_no_folder(
    folder: TriggerFolder, client: FlaskClient, files: Path, make_app: MakeApp
) -> None:
    write(files / "a.yaml")
    folder.look()
    change = {"template": BODY, "when": {"every": 60}}
    assert client.put("/triggers/nightly", json=change).status_code == 409
    changed = make_app().test_client().put("/triggers/nightly", json=change)
    assert (changed.status_code, (changed.json or {})["source"]) == (200, None)


@pytest.fixture
def watched(folder: TriggerFolder) -> Iterator[TriggerFolder]:
    thread = folder.watch(every_seconds=0.02)
    yield folder
    folder.stop()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.usefixtures("watched")
def test_a_fault_of_ours_does_not_end_the_watch(
    files: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(store, "list_triggers", lambda: 1 / 0)
        write(files / "a.yaml")
        wait_until(lambda: [each for each in log.objects if "was not applied" in each["message"]])
    wait_until(lambda: sources(store) == {"nightly": "a.yaml"})


@pytest.mark.usefixtures("watched")
def test_a_change_is_noticed_while_the_api_serves(files: Path, store: MemoryStore) -> None:
    write(files / "a.yaml")
    wait_until(lambda: sources(store) == {"nightly": "a.yaml"})
    write(files / "a.yaml", name="other")
    wait_until(lambda: sources(store) == {"other": "a.yaml"})
