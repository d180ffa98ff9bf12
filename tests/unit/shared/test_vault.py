"""Credentials are unreadable at rest."""

import base64
import logging
import os
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from shared.addresses.git_uri import Credentials
from shared.errors import ConfigurationError
from shared.secrets.vault import JobSecrets, Vault
from tests.support.threads import at_once

SOURCE = Credentials("https://git.example/", "bot", "hunter2-source")
DATASET = Credentials("https://data.example/", "hunter2-token", "")


def _vault() -> Vault:
    return Vault(Fernet.generate_key())


@pytest.mark.parametrize("secrets", [JobSecrets(SOURCE, DATASET), JobSecrets(SOURCE), JobSecrets(dataset=DATASET)])
def test_what_was_sealed_opens_as_it_was(secrets: JobSecrets) -> None:
    vault = _vault()
    assert vault.open(vault.seal(secrets)) == secrets


def test_sealed_credentials_are_unreadable_and_never_the_same_twice() -> None:
    vault = _vault()
    first, second = vault.seal(JobSecrets(SOURCE)), vault.seal(JobSecrets(SOURCE))
    assert first is not None
    assert first != second
    assert b"hunter2" not in first + base64.urlsafe_b64decode(first)


def test_nothing_is_sealed_where_there_are_no_credentials() -> None:
    assert _vault().seal(JobSecrets()) is None
    assert _vault().open(None) == JobSecrets()


def test_another_key_is_named_as_the_cause() -> None:
    sealed = _vault().seal(JobSecrets(SOURCE))
    with pytest.raises(ConfigurationError, match="another key") as caught:
        _vault().open(sealed)
    assert "hunter2" not in str(caught.value)


def test_a_key_that_is_none_is_refused_with_the_command_that_makes_one() -> None:
    with pytest.raises(ConfigurationError, match=r"SECRET_KEY.*Fernet.generate_key") as caught:
        Vault(b"hunter2")
    assert "hunter2" not in str(caught.value)


def test_a_missing_key_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "secret.key"
    sealed = Vault.from_file(file).seal(JobSecrets(SOURCE))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert Vault.from_file(file).open(sealed) == JobSecrets(SOURCE)


def test_all_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    vaults = at_once(20, lambda _: Vault.from_file(file))
    sealed = vaults[0].seal(JobSecrets(SOURCE))
    assert all(vault.open(sealed) == JobSecrets(SOURCE) for vault in vaults)
    assert list(tmp_path.iterdir()) == [file]


def test_a_start_that_was_killed_does_not_stop_the_next_one(tmp_path: Path) -> None:
    (tmp_path / f"secret.key.{os.getpid()}").touch()  # in a container every start has the same process id
    assert Vault.from_file(tmp_path / "secret.key").seal(JobSecrets(SOURCE)) is not None


def test_making_a_key_is_logged_without_the_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "secret.key"
    Vault.from_file(file)
    assert [record.getMessage() for record in caplog.records] == ["made a key file"]
    assert file.read_text().strip() not in str([vars(record) for record in caplog.records])
