"""SECRET_KEY is rotated while jobs wait and train: nothing that was sealed or signed before is lost."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken

from deploy.make_secrets import fill
from deploy.make_secrets import rotate as rotate_files
from deploy.mlflow_guard.attempt_keys import attempt_keys
from shared.addresses.git_uri import Credentials
from shared.jobs.triggers import Kind, NewTrigger
from shared.secrets.attempt_key import attempt_key
from shared.secrets.attempt_tokens import Grant, issue, verify
from shared.secrets.attempt_tokens import InvalidToken as WrongToken
from shared.secrets.keys import KeyFile, keys_in
from shared.secrets.vault import JobSecrets, Vault
from shared.settings import Settings
from shared.sql import SqlStore, schema
from shared.sql.keys import __main__ as program
from shared.sql.keys.resealing import reseal
from shared.sql.tables import attempts, jobs
from tests.support.jobs import claim, new_job

SECRETS = JobSecrets(Credentials("https://git.example/", "robot", "s3cret-pw"))
GRANT = Grant("j", 1, "r", "e", None, int(time.time()) + 600)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "secret.key"
    Vault.key_in(file)
    return file


@pytest.fixture
def guard_file(tmp_path: Path, key_file: Path) -> Path:
    file = tmp_path / "tracking-guard-key"
    file.write_text(attempt_key(key_file.read_text()) + "\n")
    return file


@pytest.fixture
def settings(tmp_path: Path, key_file: Path, sql_store: SqlStore) -> Settings:
    return Settings.load(
        _env_file=None, data_dir=tmp_path, database_url=str(sql_store.engine.url.render_as_string(False))
    )


def sealed_rows(store: SqlStore) -> list[bytes]:
    with store.reading() as transaction:
        return [bytes(row[0]) for row in transaction.connection.execute(sa.select(jobs.c.secret)) if row[0]]


def opens(sealed: bytes, key: str) -> bool:
    try:
        Fernet(key).decrypt(sealed)
    except InvalidToken:
        return False
    return True


def rotate(settings: Settings, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(program, "SETTLE_SECONDS", 0.3)
    return program._run(program.Rotation(settings, store), "rotate", store)


def test_all_that_is_stored_gets_the_new_key_while_api_and_workers_go_on(
    settings: Settings, sql_store: SqlStore, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, api, worker = key_file.read_text(), settings.vault(), settings.vault()
    made = [sql_store.submit(new_job(secret=api.seal(SECRETS))).job.id for _ in range(450)]
    sql_store.create_trigger(
        NewTrigger(
            name="hooked",
            template={},
            when={},
            policy={},
            kind=Kind.GIT,
            secret=api.seal(SECRETS),
            hook_secret=api.seal_text("hook-secret"),
        )
    )
    stopped, opened, submitted = threading.Event(), list[JobSecrets](), list[str]()

    def use() -> None:
        while not stopped.is_set():
            submitted.append(sql_store.submit(new_job(secret=api.seal(SECRETS))).job.id)
            opened.extend(worker.open(each) for each in sealed_rows(sql_store)[-20:])

    thread = threading.Thread(target=use)
    thread.start()
    try:
        assert rotate(settings, sql_store, monkeypatch) == 0
    finally:
        stopped.set()
        thread.join()

    (new,) = keys_in(key_file.read_text())
    assert new != old.strip()
    assert set(opened) == {SECRETS}
    rows = sealed_rows(sql_store)
    assert len(rows) == len(made) + len(submitted)
    assert all(opens(each, new) and not opens(each, old.strip()) for each in rows)
    trigger = sql_store.get_trigger("hooked")
    assert worker.open(sql_store.secret_of_trigger(trigger.name)) == SECRETS
    assert old.strip() not in key_file.read_text()


def test_the_old_key_stays_while_an_attempt_has_a_token_of_it(
    settings: Settings, sql_store: SqlStore, key_file: Path, guard_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = attempt_keys("", {"TRACKING_GUARD_KEY_FILE": str(guard_file)})
    job = sql_store.submit(new_job(secret=settings.vault().seal(SECRETS))).job.id
    claim(sql_store, job)
    token = issue(GRANT, settings.attempt_key())

    assert rotate(settings, sql_store, monkeypatch) == program.NOT_YET
    after = issue(GRANT, settings.attempt_key())
    assert after != token
    assert {verify(each, guard(), now=0) for each in (token, after)} == {GRANT}

    with sql_store.writing() as transaction:
        transaction.connection.execute(attempts.update().values(ended_at=transaction.now))
    assert rotate(settings, sql_store, monkeypatch) == 0
    assert verify(after, guard(), now=0) == GRANT
    with pytest.raises(WrongToken):
        verify(token, guard(), now=0)


def test_it_goes_on_where_it_was_interrupted(settings: Settings, sql_store: SqlStore, key_file: Path) -> None:
    before = settings.vault()
    for _ in range(3):
        sql_store.submit(new_job(secret=before.seal(SECRETS)))
    rotation = program.Rotation(settings, sql_store)
    rotation.add()
    assert opens(before.seal(SECRETS) or b"", keys_in(key_file.read_text())[-1])
    rotation.add()
    assert len(keys_in(key_file.read_text())) == 2
    monkey = KeyFile(key_file)
    monkey.use(monkey.waiting or "")
    assert reseal(sql_store, settings.vault()) == 3
    assert reseal(sql_store, settings.vault()) == 0
    monkey.drop()
    monkey.drop()
    assert settings.vault().open(sealed_rows(sql_store)[0]) == SECRETS
    assert len(keys_in(key_file.read_text())) == 1


def test_a_secret_that_no_key_opens_is_left_and_the_rest_is_done(settings: Settings, sql_store: SqlStore) -> None:
    sql_store.submit(new_job(secret=Vault(Fernet.generate_key()).seal(SECRETS)))
    sql_store.submit(new_job(secret=settings.vault().seal(SECRETS)))
    rotation = program.Rotation(settings, sql_store)
    rotation.add()
    file = KeyFile(settings.data_dir / "secret.key")
    file.use(file.waiting or "")
    assert reseal(sql_store, settings.vault()) == 1


def test_the_command_rotates_a_services_key(tmp_path: Path) -> None:
    environment = {**os.environ, "DATA_DIR": str(tmp_path)}
    store = SqlStore(f"sqlite:///{tmp_path}/jobs.db")
    schema.upgrade(store)
    store.close()
    old = Vault.key_in(tmp_path / "secret.key")
    command = [
        sys.executable,
        "-c",
        "import shared.sql.keys.__main__ as m, sys; m.SETTLE_SECONDS = 0; sys.exit(m.main())",
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("The old key is dropped.\n")
    (new,) = keys_in((tmp_path / "secret.key").read_text())
    assert new.encode() != old
    assert new not in done.stdout + done.stderr


def test_the_files_of_compose_are_rotated_by_a_python_without_packages(tmp_path: Path) -> None:
    fill(tmp_path)
    key, guards = tmp_path / "secret_key", tmp_path / "tracking_guard_key"
    vault, first = Vault.from_file(key), key.read_text()
    sealed, token, inode = vault.seal(SECRETS), issue(GRANT, guards.read_text()), key.stat().st_ino
    rotate_files(tmp_path, uses=True, drops=False)
    rotate_files(tmp_path, uses=True, drops=False)
    assert key.stat().st_ino == inode  # a container has this file, not its name
    assert len(keys_in(key.read_text())) == len(keys_in(guards.read_text())) == 2
    assert vault.open(sealed) == SECRETS
    assert verify(token, guards.read_text(), now=0) == GRANT
    assert attempt_key(key.read_text()) == ",".join(keys_in(guards.read_text()))
    rotate_files(tmp_path, uses=False, drops=True)
    assert attempt_key(key.read_text()) == ",".join(keys_in(guards.read_text()))
    assert first.strip() not in key.read_text()
