"""The operator's logins with real git hosts: whose job they open a repository for, and who else sees them."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from shared.errors import AttemptError, Code
from shared.requests.retrain_request import RetrainRequest
from shared.secrets.vault import Vault
from tests.integration.source.private_host import gitmodules
from tests.support.servers.git_server import GitServer
from worker.credentials.credentials_file import CredentialsFile
from worker.credentials.keys import Keyring
from worker.source.checkout import Checkout, GitSource, SourceRequest


@dataclass(frozen=True)
class Job:
    team: str | None
    roles: tuple[str, ...] = ("submitter",)


class Worker:
    """Checks jobs out, with what a file of credentials has for them, through one set of mirrors."""

    def __init__(self, folder: Path, text: str) -> None:
        path = folder / "credentials.toml"
        path.write_text(text)
        path.chmod(0o600)
        file = CredentialsFile(path)
        file.load()
        self._keyring = Keyring(Vault(Fernet.generate_key()), file)
        self._source = GitSource(
            folder / "mirrors",
            folder / "work",
            allowed_schemes=frozenset({"http"}),
            allowed_hosts=frozenset({"127.0.0.1", "localhost"}),
            environ={"PATH": os.environ["PATH"], "HOME": str(folder)},
        )

    def check_out(self, uri: str, team: str | None, commit_sha: str | None = None) -> Checkout:
        request = RetrainRequest(experiment_name="e", git_uri=uri)
        keys = self._keyring.of_job(None, Job(team), request)
        wanted = SourceRequest(uri, "main", commit_sha=commit_sha, credentials=keys.source)
        return self._source.checkout(wanted, name=f"job-of-{team}")


def entry(host: GitServer, **more: str) -> str:
    place = f"http://127.0.0.1:{host.port}{more.pop('path', '')}"
    lines = [f'url = "{place}"', 'username = "robot"', 'password = "s3cret-pw"']
    return "\n".join(["[[git]]", *lines, *(f"{name} = {value}" for name, value in more.items())])


def refused(worker: Worker, uri: str, team: str | None, commit_sha: str | None = None) -> Code:
    with pytest.raises(AttemptError) as caught:
        worker.check_out(uri, team, commit_sha)
    assert "s3cret-pw" not in str(caught.value)
    return caught.value.code


def test_a_team_reads_its_repository_without_a_token_and_another_team_not_even_from_the_mirror(tmp_path: Path) -> None:
    with GitServer(tmp_path / "git", "robot", "s3cret-pw") as host:
        host.create("iris", {"MLproject": "name: iris"})
        worker = Worker(tmp_path, entry(host, teams='["vision"]'))
        sha = worker.check_out(host.url("iris"), "vision").commit_sha
        assert refused(worker, host.url("iris"), "sales") is Code.GIT_AUTH_FAILED
        assert refused(worker, host.url("iris"), "sales", sha) is Code.GIT_AUTH_FAILED
        assert worker.check_out(host.url("iris"), "vision", sha).commit_sha == sha


def test_a_submodule_on_the_same_host_is_fetched_with_it_but_not_beside_the_entrys_folder(tmp_path: Path) -> None:
    with GitServer(tmp_path / "git", "robot", "s3cret-pw") as host:
        inner, secret = host.create("vision/inner", {"a": "1"}), host.create("secret", {"a": "1"})
        good, bad = host.create("vision/good"), host.create("vision/bad")
        good.commit(gitmodules(sub="../inner.git"), submodules={"sub": inner.git("rev-parse", "main")})
        bad.commit(gitmodules(sub="../../secret.git"), submodules={"sub": secret.git("rev-parse", "main")})
        worker = Worker(tmp_path, entry(host, path="/vision"))
        found = worker.check_out(host.url("vision/good"), None)
        assert (found.folder / "sub" / "a").read_text() == "1"
        assert refused(worker, host.url("vision/bad"), None) is Code.GIT_AUTH_FAILED


def test_a_host_that_redirects_elsewhere_gets_the_login_shown_to_nobody_else(tmp_path: Path) -> None:
    host, thief = (GitServer(tmp_path / name, "robot", "s3cret-pw") for name in ("host", "thief"))
    with host, thief:
        host.create("iris", {"MLproject": "name: iris"})
        thief.create("iris", {"MLproject": "name: iris"})
        host.behaviour.redirect_to = f"http://localhost:{thief.port}"
        worker = Worker(tmp_path, entry(host))
        refused(worker, host.url("iris"), None)
        assert thief.requests
        assert {seen.authorization for seen in thief.requests} == {None}
