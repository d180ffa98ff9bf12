"""What a source cannot be fetched for, each with its code; and that a repository's own names and links do no harm."""

import fcntl
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from shared.errors import AttemptTimeout, Code, InfrastructureError, UserError
from tests.support.servers.git_repository import RepositoryOnServer
from tests.support.servers.git_server import Behaviour, GitServer
from worker.source.checkout import Checkout, GitSource, SourceRequest


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "host") as server:
        yield server


@pytest.fixture
def iris(server: GitServer) -> RepositoryOnServer:
    return server.create("iris", {"a/b/MLproject": "", "c/MLproject": "", "README": ""})


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return make_source(tmp_path, "http")


def make_source(tmp_path: Path, scheme: str, **environ: str) -> GitSource:
    return GitSource(
        tmp_path / "mirrors",
        tmp_path / "work",
        allowed_schemes=frozenset({scheme}),
        allowed_hosts=frozenset({"127.0.0.1", "no-such-host.invalid", "host.example"}),
        environ={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environ},
    )


def make_program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(stat.S_IRWXU)
    return path


def fetch(source: GitSource, uri: str, *, subfolder: str = "", timeout_seconds: float = 30) -> Checkout:
    return source.checkout(SourceRequest(uri, "main", None, subfolder), name="a-1", timeout_seconds=timeout_seconds)


def test_a_host_that_is_gone_is_worth_another_attempt(
    server: GitServer, iris: RepositoryOnServer, source: GitSource
) -> None:
    server.stop()
    with pytest.raises(InfrastructureError, match="Check that the worker reaches the git host") as caught:
        fetch(source, iris.uri)
    assert caught.value.code == Code.GIT_UNREACHABLE


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_host_that_fails_is_worth_another_attempt(
    server: GitServer, iris: RepositoryOnServer, source: GitSource, status: int
) -> None:
    server.behaviour.status = status
    with pytest.raises(InfrastructureError, match=str(status)) as caught:
        fetch(source, iris.uri)
    assert caught.value.code == Code.GIT_UNREACHABLE


@pytest.mark.parametrize(
    "page", [b"<html>Log in</html>", b"<html>\n\t<body>Log in</body>\n</html>\n", b"", b'{"login": "/"}\n']
)
@pytest.mark.parametrize("ref", ["main", "HEAD", "f" * 40, "f" * 8])
def test_a_page_in_place_of_git_is_worth_another_attempt_and_no_empty_repository(
    server: GitServer, iris: RepositoryOnServer, source: GitSource, page: bytes, ref: str
) -> None:
    server.behaviour.page = page
    with pytest.raises(InfrastructureError, match="a page, not with git") as caught:
        source.resolve(SourceRequest(iris.uri, ref))
    assert caught.value.code == Code.GIT_UNREACHABLE


def test_a_page_that_git_is_led_to_is_no_new_address(
    server: GitServer, iris: RepositoryOnServer, source: GitSource, tmp_path: Path
) -> None:
    with GitServer(tmp_path / "login", behaviour=Behaviour(page=b"<html>Log in</html>")) as login:
        server.behaviour.login_at = f"http://127.0.0.1:{login.port}/sign_in"
        with pytest.raises(InfrastructureError, match="a page, not with git"):
            fetch(source, iris.uri)


def test_a_page_lets_nobody_have_a_pinned_commit_of_the_mirror(
    server: GitServer, iris: RepositoryOnServer, source: GitSource
) -> None:
    pinned = SourceRequest(iris.uri, "main", fetch(source, iris.uri).commit_sha)
    server.behaviour.page = b"<html>Log in</html>"
    with pytest.raises(InfrastructureError, match="a page, not with git"):
        source.checkout(pinned, name="a-2")


def test_an_empty_repository_is_still_said_to_be_empty(server: GitServer, source: GitSource) -> None:
    with pytest.raises(UserError, match="has no branches"):
        fetch(source, server.create("empty").uri)


def test_a_host_that_does_not_exist_is_unreachable(source: GitSource) -> None:
    with pytest.raises(InfrastructureError) as caught:
        fetch(source, "http://no-such-host.invalid/a.git")
    assert caught.value.code == Code.GIT_UNREACHABLE


def test_a_host_that_hangs_costs_the_timeout_and_leaves_no_process(
    server: GitServer, iris: RepositoryOnServer, source: GitSource, tmp_path: Path
) -> None:
    server.behaviour.hang = True
    with pytest.raises(AttemptTimeout, match=r"took longer than 1 s") as caught:
        fetch(source, iris.uri, timeout_seconds=1)
    assert caught.value.code == Code.GIT_TIMEOUT
    assert not [each for each in psutil.Process().children(recursive=True) if "git" in each.name()]
    server.behaviour.hang = False
    assert fetch(source, iris.uri).folder == tmp_path / "work" / "a-1"


def test_waiting_for_another_attempt_has_the_same_timeout(
    iris: RepositoryOnServer, source: GitSource, tmp_path: Path
) -> None:
    fetch(source, iris.uri)
    (lock,) = (tmp_path / "mirrors").glob("*.lock")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AttemptTimeout) as caught:
            fetch(source, iris.uri, timeout_seconds=0.5)
    assert caught.value.code == Code.GIT_TIMEOUT


def test_a_full_disk_is_said_to_be_full(iris: RepositoryOnServer, tmp_path: Path) -> None:
    git = shutil.which("git")
    complaint = "echo 'fatal: write error: No space left on device' >&2; exit 128"
    make_program(tmp_path / "git", f'case "$*" in *fetch*) {complaint};; *) exec {git} "$@";; esac')
    source = make_source(tmp_path, "http", PATH=f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(InfrastructureError, match="disk is full") as caught:
        fetch(source, iris.uri)
    assert caught.value.code == Code.DISK_FULL


def test_a_worker_without_git_says_so(iris: RepositoryOnServer, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="Check that git is installed") as caught:
        fetch(make_source(tmp_path, "http", PATH=str(tmp_path)), iris.uri)
    assert caught.value.code == Code.INTERNAL


def test_ssh_never_waits_for_an_answer(iris: RepositoryOnServer, tmp_path: Path) -> None:
    ssh = make_program(tmp_path / "ssh", f'echo "$@" >> {tmp_path}/asked; for last; do :; done; exec sh -c "$last"')
    source = make_source(tmp_path, "ssh", GIT_SSH_COMMAND=f"{ssh} -i key")
    fetch(source, f"git@host.example:{iris.folder}")
    fetch(source, f"ssh://git@host.example:2222{iris.folder}")
    for line in (tmp_path / "asked").read_text().splitlines():
        assert line.startswith("-i key -o BatchMode=yes -o ConnectTimeout=15 -o StrictHostKeyChecking=accept-new")
        assert "git@host.example" in line


@pytest.mark.parametrize(
    ("uri", "setting"),
    [
        ("https://127.0.0.1/a.git", "GIT_SCHEMES"),
        ("git@127.0.0.1:a.git", "GIT_SCHEMES"),
        ("file:///srv/a.git", "GIT_SCHEMES"),
        ("http://elsewhere.example/a.git", "GIT_HOSTS"),
    ],
)
def test_what_is_not_allowed_names_the_setting(tmp_path: Path, uri: str, setting: str) -> None:
    source = GitSource(
        tmp_path / "mirrors",
        tmp_path / "work",
        allowed_schemes=frozenset({"http"}),
        allowed_hosts=frozenset({"127.0.0.1"}),
    )
    with pytest.raises(UserError, match=setting) as caught:
        fetch(source, uri)
    assert (caught.value.code, caught.value.facts["setting"]) == (Code.INVALID_PARAMETER, setting)


@pytest.mark.parametrize("uri", ["ext::sh -c 'touch x'", "ext::sh", "-x", "/srv/a.git", ""])
def test_what_is_no_address_is_a_wrong_parameter(source: GitSource, uri: str) -> None:
    with pytest.raises(UserError, match="git_uri") as caught:
        fetch(source, uri)
    assert caught.value.code == Code.INVALID_PARAMETER


@pytest.mark.parametrize("name", ["x; touch pwned", "$(touch pwned)", "a&b", "-x"])
def test_a_repository_with_a_strange_name_is_just_a_repository(
    server: GitServer, source: GitSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    fetch(source, server.create(name, {"a": "1"}).uri)
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize(
    ("subfolder", "found"),
    [
        ("", "."),
        ("a/b", "a/b"),
        ("a/b/", "a/b"),
        ("./a//b", "a/b"),
        ("a/b/MLproject", "a/b"),
        ("link", "a/b"),
    ],
)
def test_a_subfolder_is_found_as_people_write_it(
    iris: RepositoryOnServer, source: GitSource, subfolder: str, found: str
) -> None:
    iris.commit({}, symlinks={"link": "a/b"})
    checkout = fetch(source, iris.uri, subfolder=subfolder)
    assert checkout.project_folder == (checkout.folder / found).resolve()


@pytest.mark.parametrize(
    "subfolder",
    ["nothing", "README", "../..", "a/../..", "/etc", "\\x", "out", "up/x", "loop", ".git", "a\0b", "x" * 5000],
)
def test_what_is_no_folder_of_the_repository_names_those_with_a_project(
    iris: RepositoryOnServer, source: GitSource, tmp_path: Path, subfolder: str
) -> None:
    iris.commit({}, symlinks={"out": "/etc", "up": "../../..", "loop": "loop", "d": "/"})
    (tmp_path / "x").mkdir()
    with pytest.raises(UserError, match="a/b, c") as caught:
        fetch(source, iris.uri, subfolder=subfolder)
    assert caught.value.code == Code.INVALID_PROJECT
    assert caught.value.facts["project_folders"] == ("a/b", "c")


def test_a_repository_around_the_mirrors_is_left_alone(
    iris: RepositoryOnServer, source: GitSource, tmp_path: Path
) -> None:
    iris.git("init", "--quiet", str(tmp_path))
    fetch(source, iris.uri)
    (mirror,) = (tmp_path / "mirrors").glob("*.git")
    (mirror / "HEAD").write_bytes(b"")
    fetch(source, iris.uri)
    assert not list((tmp_path / ".git" / "objects").glob("*/*"))


def test_hooks_that_this_machine_is_set_up_with_are_not_run(
    iris: RepositoryOnServer, source: GitSource, tmp_path: Path
) -> None:
    for name in ("post-checkout", "reference-transaction"):
        make_program(tmp_path / name, f"touch {tmp_path}/pwned")
    (tmp_path / ".gitconfig").write_text(f"[core]\n\thooksPath = {tmp_path}\n")
    fetch(source, iris.uri)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("name", ["", "..", "a/b", "../a", ".hidden"])
def test_only_an_attempts_own_folder_can_be_discarded(source: GitSource, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of an attempt"):
        source.discard(name)


def test_a_repository_of_very_deep_folders_is_refused_and_can_be_discarded(
    iris: RepositoryOnServer, source: GitSource, tmp_path: Path
) -> None:
    iris.commit({"d/" * 1900 + "file": ""})
    try:
        with pytest.raises(UserError, match="nested more than 200 deep") as caught:
            fetch(source, iris.uri)
        assert caught.value.code == Code.INVALID_PROJECT
        source.discard("a-1")
        assert not list((tmp_path / "work").iterdir())
    finally:  # pytest itself cannot remove what is left when this fails
        subprocess.run(["rm", "-rf", tmp_path / "work"], check=True, timeout=30)


def test_a_submodule_with_a_command_of_its_own_is_the_projects_fault(
    iris: RepositoryOnServer, source: GitSource, tmp_path: Path
) -> None:
    entry = f'[submodule "s"]\n\tpath = s\n\turl = {iris.uri}\n\tupdate = !touch {tmp_path}/pwned\n'
    iris.commit({".gitmodules": entry}, submodules={"s": iris.git("rev-parse", "main")})
    with pytest.raises(UserError) as caught:
        fetch(source, iris.uri)
    assert caught.value.code == Code.INVALID_PROJECT
    assert not (tmp_path / "pwned").exists()
