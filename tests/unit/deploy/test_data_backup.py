"""`make backup` without Compose: what `make up` keeps is copied while it is written, and put back where nothing is."""

import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deploy.one_machine.data_backup import main, restore, save
from deploy.one_machine.stack import data_lock
from shared.errors import ConfigurationError
from shared.jobs.records import JobFilter
from shared.scheduling.limits import Limits
from shared.sql import SqlStore, schema
from tests.support.jobs import submit


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "mlflow" / "artifacts" / "1").mkdir(parents=True)
    (folder / "mlflow" / "artifacts" / "1" / "model.pkl").write_text("a model")
    (folder / "secret.key").write_text("a key")
    (folder / "secret.key").chmod(0o600)
    with closing(sqlite3.connect(folder / "mlflow" / "mlflow.db")) as database:
        database.execute("CREATE TABLE runs (id TEXT)")
    return folder


@pytest.fixture
def store(data: Path) -> Iterator[SqlStore]:
    with closing(SqlStore(f"sqlite:///{data / 'jobs.db'}", limits=Limits())) as opened:
        schema.upgrade(opened)
        yield opened


def test_it_is_saved_while_jobs_come_and_found_again(data: Path, store: SqlStore, tmp_path: Path) -> None:
    is_over = threading.Event()

    def submit_on() -> None:
        while not is_over.is_set():
            submit(store)

    before = submit(store)
    submitting = threading.Thread(target=submit_on)
    submitting.start()
    try:
        save(data, tmp_path / "backup")
    finally:
        is_over.set()
        submitting.join()

    new = tmp_path / "new"
    restore(tmp_path / "backup", new)
    with closing(SqlStore(f"sqlite:///{new / 'jobs.db'}", limits=Limits())) as restored:
        schema.check(restored)
        assert restored.get(before) == store.get(before)
        kept = {job.id for job in restored.list(JobFilter(), limit=1000)}
        assert kept <= {job.id for job in store.list(JobFilter(), limit=1000)}
    assert (new / "mlflow" / "artifacts" / "1" / "model.pkl").read_text() == "a model"
    assert (new / "secret.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(new / "mlflow" / "mlflow.db")) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (0,)


@pytest.mark.usefixtures("store")
def test_nothing_that_is_there_is_written_over(data: Path, tmp_path: Path) -> None:
    save(data, tmp_path / "backup")
    with pytest.raises(ConfigurationError, match="exists already"):
        save(data, tmp_path / "backup")
    with pytest.raises(ConfigurationError, match=r"has jobs.db and mlflow/mlflow.db already"):
        restore(tmp_path / "backup", data)
    with data_lock(tmp_path / "new"), pytest.raises(ConfigurationError, match="A stack runs"):
        restore(tmp_path / "backup", tmp_path / "new")


def test_what_is_no_data_or_no_backup_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "empty"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert main(["save", str(tmp_path / "backup")]) == 1
    assert "has no jobs.db" in capsys.readouterr().err
    assert main(["restore", os.devnull]) == 1
    assert "is no backup" in capsys.readouterr().err


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["DATABASE_URL", "MLFLOW_DATABASE_URL"])
def test_a_database_elsewhere_is_not_taken_for_what_lies_here(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv("DATA_DIR", str(data))
    monkeypatch.setenv(name, "postgresql://retrain:hunter2@db.example/retrain")
    assert main(["save", str(tmp_path / "backup")]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{name} names")
    assert "hunter2" not in said
    assert not (tmp_path / "backup").exists()


@pytest.mark.usefixtures("store")
def test_a_backup_that_was_killed_is_not_in_the_way_of_the_next_one(data: Path, tmp_path: Path) -> None:
    (tmp_path / "backup.unfinished").mkdir()
    (tmp_path / "backup.unfinished" / "half.db").touch()
    save(data, tmp_path / "backup")
    assert not (tmp_path / "backup" / "half.db").exists()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["jobs.db", "mlflow/artifacts/1/model.pkl"])
def test_a_backup_that_has_changed_since_is_put_back_nowhere(data: Path, tmp_path: Path, name: str) -> None:
    save(data, tmp_path / "backup")
    (tmp_path / "backup" / name).write_bytes(b"half of it")
    with pytest.raises(ConfigurationError, match=f"{name} is not as it was written"):
        restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_database_that_is_damaged_makes_no_backup(data: Path, store: SqlStore, tmp_path: Path) -> None:
    for _ in range(50):
        submit(store)
    store.close()
    with (data / "jobs.db").open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 40 * 4096)
    with pytest.raises((ConfigurationError, sqlite3.DatabaseError)):
        save(data, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("target", ["backup", "restore", "compose-backup"])
def test_make_in_the_folder_of_the_compose_file_is_make_in_the_checkout_or_fails(target: str) -> None:
    """make's built-in rules would copy backup.sh to backup there, and say that all is well."""
    deploy = Path(__file__).parents[3] / "deploy"
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", target, "FOLDER=saved"],  # make test's own make would have it say
        cwd=deploy,
        capture_output=True,
        text=True,
        check=False,
    )
    if target == "compose-backup":
        assert done.returncode != 0
        assert "No rule to make target" in done.stderr
    else:
        assert done.returncode == 0
        assert " saved" in done.stdout.splitlines()[-1]
    assert not (deploy / target).exists()
