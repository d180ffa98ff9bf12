"""The operator's own logins: what each is for, who may use it, and what becomes of the file."""

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from shared.addresses.git_uri import Credentials
from shared.errors import ConfigurationError
from shared.requests.retrain_request import RetrainRequest
from shared.secrets.redactor import Redactor
from shared.secrets.vault import JobSecrets, Vault
from worker.credentials import credentials_file
from worker.credentials.credentials_file import CredentialsFile
from worker.credentials.keys import Keyring, Keys, headers_for
from worker.source.logins import Logins

CONNECTION = "AccountName=store;AccountKey=k3y-of-the-account"
FILE = f"""
[[git]]
url = "https://git.example/research"
username = "robot"
password = "pw-of-research"
teams = ["research"]

[[git]]
url = "git.example"
password = "pw-of-all"

[[git]]
url = "https://vault.example:8443"
password = "pw-of-operators"
roles = ["operator"]

[[registry]]
url = "registry.example/team"
username = "puller"
password = "pw-of-registry"
teams = ["research"]

[[dataset]]
url = "https://data.example/"
password = "pw-of-data"

[[dataset]]
url = "https://store.blob.core.windows.net/"
connection_string = "{CONNECTION}"

[[webhook]]
url = "https://hooks.example"
password = "pw-of-hooks"
"""


@dataclass(frozen=True)
class Somebody:
    team: str | None = None
    roles: tuple[str, ...] = ("submitter",)


def written(folder: Path, text: str = FILE, mode: int = 0o600) -> Path:
    path = folder / "credentials.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def opened(path: Path) -> CredentialsFile:
    file = CredentialsFile(path)
    file.load()
    return file


def keys(
    file: CredentialsFile,
    asker: Somebody = Somebody(),
    *,
    came: JobSecrets | None = None,
    isolated: bool = False,
    **body: str,
) -> Keys:
    vault = Vault(Fernet.generate_key())
    request = RetrainRequest(**{"experiment_name": "e", "git_uri": "https://git.example/a.git", **body})
    return Keyring(vault, file, isolated=isolated).of_job(vault.seal(came or JobSecrets()), asker, request)


def shown(file: CredentialsFile, address: str, asker: Somebody = Somebody(), *, isolated: bool = False) -> str | None:
    found = keys(file, asker, isolated=isolated, git_uri=address).source
    login = Logins((found,) if found else ()).of(address)
    return login.password if login else None


@pytest.fixture
def file(tmp_path: Path) -> CredentialsFile:
    return opened(written(tmp_path))


@pytest.mark.parametrize(
    ("address", "password"),
    [
        ("https://git.example/a.git", "pw-of-all"),
        ("https://GIT.example:443/a.git", "pw-of-all"),
        ("https://git.example/research/a.git", "pw-of-research"),
        ("https://git.example/research.git", "pw-of-research"),
        ("https://git.example/researchers/a.git", "pw-of-all"),
        ("https://git.example/other/%2e%2e/research/a.git", None),
        ("https://git.example/research/..%2fother/a.git", None),
        ("http://git.example/a.git", None),
        ("https://git.example:8443/a.git", None),
        ("https://git.example.evil.example/a.git", None),
        ("https://evil-git.example/a.git", None),
        ("https://vault.example/a.git", None),
        ("ssh://git@git.example/a.git", None),
    ],
)
def test_a_login_is_for_its_own_host_and_folder_exactly(
    file: CredentialsFile, address: str, password: str | None
) -> None:
    assert shown(file, address, Somebody("research")) == password


def test_a_submodule_beside_the_entrys_folder_is_not_shown_its_login(file: CredentialsFile) -> None:
    source = keys(file, Somebody("research"), git_uri="https://git.example/research/a.git").source
    logins = Logins().plus(source)
    assert source
    assert logins.of("https://git.example/research/sub.git") is source
    assert [logins.of(f"https://{place}") for place in ("git.example/secret.git", "git.example/research/../x.git")] == [
        None,
        None,
    ]


def test_another_team_or_role_does_not_get_it(file: CredentialsFile) -> None:
    research, secret = "https://git.example/research/a.git", "https://vault.example:8443/a.git"
    assert shown(file, research, Somebody("sales")) == "pw-of-all"
    assert shown(file, research, Somebody(None)) == "pw-of-research"
    assert [shown(file, secret, Somebody("any", (role,))) for role in ("submitter", "operator", "admin")] == [
        None,
        "pw-of-operators",
        "pw-of-operators",
    ]


def test_with_isolated_teams_an_entry_without_teams_is_for_those_of_all_teams(file: CredentialsFile) -> None:
    address = "https://git.example/a.git"
    assert shown(file, address, Somebody("sales"), isolated=True) is None
    assert shown(file, address, Somebody(None), isolated=True) == "pw-of-all"
    assert shown(file, "https://git.example/research/a.git", Somebody("research"), isolated=True) == "pw-of-research"


def test_what_comes_with_the_request_wins(file: CredentialsFile) -> None:
    own = Credentials("https://git.example/", "me", "mine")
    found = keys(file, came=JobSecrets(source=own), dataset_repo="https://data.example/d.git")
    assert found.source == own
    data = found.of_data("https://data.example/d.git")
    assert data
    assert data.password == "pw-of-data"


def test_a_training_gets_only_what_is_for_data_and_only_what_its_own_data_needs(file: CredentialsFile) -> None:
    on_git = keys(file).to_read_data("https://git.example/data.git")
    on_azure = keys(file).to_read_data("https://store.blob.core.windows.net/box/set")
    assert (on_git.login, on_git.account) == (None, "")
    assert (on_azure.login, on_azure.account) == (None, CONNECTION)
    assert keys(file).account_of("azure://store/box/set") == CONNECTION
    assert keys(file).account_of("https://store2.blob.core.windows.net/box") == ""


def test_an_image_that_only_others_may_pull_is_not_had_from_the_hosts_disk(file: CredentialsFile) -> None:
    image = "registry.example/team/iris:1"
    ours, others = keys(file, Somebody("research")).pull_of(image), keys(file, Somebody("sales")).pull_of(image)
    assert (ours.username, ours.password, ours.asks_registry) == ("puller", "pw-of-registry", False)
    assert (others.password, others.asks_registry) == ("", True)
    of_sales = keys(file, Somebody("sales"))
    asked = {name: of_sales.pull_of(name).asks_registry for name in ("python:3.11", "ab12", "sha256:a1")}
    assert asked == {"python:3.11": False, "ab12": True, "sha256:a1": True}


def test_a_webhooks_receiver_sees_its_token_and_no_other_does(file: CredentialsFile) -> None:
    assert headers_for(file, "https://hooks.example/path") == {"Authorization": "Bearer pw-of-hooks"}
    assert headers_for(file, "https://hooks.example.org/path") == {}


def test_a_jobs_log_shows_no_entry_not_even_one_that_it_may_not_use(file: CredentialsFile) -> None:
    redactor = Redactor().plus(keys(file, Somebody("sales")).all)
    pair = b64encode(b"puller:pw-of-registry").decode()
    told = f"pw-of-research pw-of-operators {pair} {CONNECTION} k3y-of-the-account pw-of-hooks"
    assert redactor.text(told).replace("***", "").strip(" ") == ""
    assert "pw-of" not in repr(keys(file))


def test_a_changed_file_counts_at_once_and_a_broken_one_does_not(tmp_path: Path) -> None:
    told: list[frozenset[str]] = []
    path = written(tmp_path)
    file = CredentialsFile(path, lambda named: told.append(named.secrets))
    file.load()
    written(tmp_path, FILE.replace("pw-of-all", "pw-that-is-new"))
    assert shown(file, "https://git.example/a.git") == "pw-that-is-new"
    assert "pw-that-is-new" in told[-1]
    written(tmp_path, "[[git")
    assert shown(file, "https://git.example/a.git") == "pw-that-is-new"
    path.unlink()
    assert shown(file, "https://git.example/a.git") == "pw-that-is-new"
    written(tmp_path, "")
    assert shown(file, "https://git.example/a.git") is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, mode=mode)
    with pytest.raises(ConfigurationError, match=f"mode {mode:04o}.*chmod 600"):
        opened(path)


def test_a_mounted_secret_may_be_readable_but_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials_file, "MOUNTS", tmp_path)
    assert len(opened(written(tmp_path, mode=0o444)).now().git) == 3
    with pytest.raises(ConfigurationError, match="others can open"):
        opened(written(tmp_path, mode=0o664))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[git]]\nurl = "https://a.example"\npassword = hunter2', "not TOML .at line 3"),
        ('[[git]]\nurl = "https://a.example"', r"\[\[git\]\] 1 : has no password"),
        ('[[git]]\nurl = "https://hunter2@a.example"\npassword = "x"', "without a login"),
        ('[[git]]\nurl = "ftp://a.example"\npassword = "hunter2"', "http"),
        ('[[git]]\nurl = "a.example"\npassword = "hunter2"\nhunter2 = 1', "Extra inputs"),
        ('[[git]]\nurl = "a.example"\npassword = "hunter2\\n"', "no login can have"),
        ('[[git]]\nurl = "a.example"\npassword = "hunter2"\nroles = ["king"]', "roles"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_of_it_repeated(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        opened(written(tmp_path, text))
    assert "hunter2" not in str(caught.value)


def test_a_folder_or_a_missing_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigurationError, match="CREDENTIALS_FILE"):
            opened(path)
