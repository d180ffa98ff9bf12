"""Submodules: credentials reach their own git host, and what the operator allows counts for each."""

from pathlib import Path

import pytest

from shared.errors import AttemptError, Code, UserError
from tests.integration.source.private_host import FORMS, fetch, gitmodules, make_source, with_submodule
from tests.support.servers.git_repository import bare_repository
from tests.support.servers.git_server import Behaviour, GitServer
from worker.source.checkout import SourceRequest


@pytest.mark.parametrize("relative", [True, False], ids=["relative", "absolute"])
@pytest.mark.parametrize("v2", [True, False], ids=["shallow", "only tips may be asked for"])
def test_private_submodules_of_the_same_host_are_fetched(
    server: GitServer, tmp_path: Path, relative: bool, v2: bool
) -> None:
    server.behaviour.protocol_v2 = v2
    inner = server.create("inner", {"deep.txt": "deep"})
    sub = server.create("sub", {"sub.txt": "old"})
    sha = sub.commit(gitmodules(inner="../inner.git"), submodules={"inner": inner.git("rev-parse", "main")})
    sub.commit({"sub.txt": "newer than what is asked for"})
    super_ = with_submodule(server, "../sub.git" if relative else sub.uri, sha)
    checkout = fetch(make_source(tmp_path), server.url("super", with_credentials=True))
    assert checkout.commit_sha == super_.git("rev-parse", "main")
    assert (checkout.folder / "sub" / "sub.txt").read_text() == "old"
    assert (checkout.folder / "sub" / "inner" / "deep.txt").read_text() == "deep"
    for path in (path for path in checkout.folder.rglob("*") if path.is_file()):
        assert not any(form.encode() in path.read_bytes() for form in FORMS), path


def test_a_submodule_of_another_host_is_not_shown_the_credentials(server: GitServer, tmp_path: Path) -> None:
    with GitServer(tmp_path / "other-host") as other:
        sub = other.create("sub", {"sub.txt": "public"})
        with_submodule(server, sub.uri, sub.git("rev-parse", "main"))
        checkout = fetch(make_source(tmp_path), server.url("super", with_credentials=True))
        assert set(other.authorizations("sub")) == {None}
    assert (checkout.folder / "sub" / "sub.txt").read_text() == "public"


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ({"status": 503}, Code.GIT_UNREACHABLE, "503"),
        ({"page": b"<html>Log in</html>"}, Code.GIT_UNREACHABLE, "a page, not with git"),
        ({"status": 404}, Code.GIT_AUTH_FAILED, "for its own host only"),
    ],
)
def test_what_is_wrong_with_a_submodule_names_it_and_its_address(
    server: GitServer, tmp_path: Path, fault: dict[str, object], code: Code, says: str
) -> None:
    with GitServer(tmp_path / "other-host") as other:
        with_submodule(server, other.url("sub"), "f" * 40)
        other.behaviour = Behaviour(**fault)  # type: ignore[arg-type]
        with pytest.raises(AttemptError, match="Submodule 'sub' of") as caught:
            fetch(make_source(tmp_path), server.url("super", with_credentials=True))
    assert caught.value.code is code
    assert other.url("sub") in caught.value.message
    assert says in caught.value.message
    assert str(tmp_path) not in caught.value.message


def test_a_submodules_commit_that_is_not_pushed_is_the_projects_fault(server: GitServer, tmp_path: Path) -> None:
    with_submodule(server, server.create("sub", {"a": "1"}).uri, "f" * 40)
    with pytest.raises(UserError, match=r"Submodule 'sub' .* Push that commit") as caught:
        fetch(make_source(tmp_path), server.url("super", with_credentials=True))
    assert caught.value.code is Code.INVALID_PROJECT


@pytest.mark.parametrize("nested", [False, True], ids=["its own", "its submodule's"])
def test_a_repository_on_a_host_names_no_folder_of_the_workers_machine_as_submodule(
    server: GitServer, tmp_path: Path, nested: bool
) -> None:
    secret = bare_repository(tmp_path / "secret.git", {"key": "s3cret"})
    sha = with_submodule(server, secret.uri, secret.git("rev-parse", "main")).git("rev-parse", "main")
    if nested:
        outer = bare_repository(tmp_path / "outer.git", {"MLproject": ""})
        outer.commit(gitmodules(sub=server.url("super", with_credentials=True)), submodules={"sub": sha})
    source = make_source(tmp_path / "data", "http", "file")
    with pytest.raises(UserError, match="only a local repository may name") as caught:
        fetch(source, f"file://{tmp_path}/outer.git" if nested else server.url("super", with_credentials=True))
    assert caught.value.code == Code.INVALID_PROJECT
    assert not list((tmp_path / "data" / "work").rglob("key"))


def test_a_local_repository_has_local_submodules(tmp_path: Path) -> None:
    inner = bare_repository(tmp_path / "inner.git", {"a": "1"})
    outer = bare_repository(tmp_path / "outer.git", {"MLproject": ""})
    outer.commit(gitmodules(sub="../inner.git"), submodules={"sub": inner.git("rev-parse", "main")})
    assert (fetch(make_source(tmp_path / "data", "file"), outer.uri).folder / "sub" / "a").read_text() == "1"


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% {tmp}/pwned",
        "file://{tmp}/host/secret.git",
        "{tmp}/host/secret.git",
        "ssh://git@other.example/a.git",
        "http://other.example/a.git",
        "--upload-pack=touch {tmp}/pwned",
    ],
)
def test_a_submodule_is_held_to_what_the_operator_allows(server: GitServer, tmp_path: Path, url: str) -> None:
    secret = server.create("secret", {"a": "1"})
    with_submodule(server, url.format(tmp=tmp_path), secret.git("rev-parse", "main"))
    with pytest.raises(AttemptError, match="ubmodule") as caught:
        fetch(make_source(tmp_path), server.url("super", with_credentials=True))
    assert caught.value.code == Code.INVALID_PROJECT
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("form", ["{mirror}", "{mirror}/../{name}", "{encoded}", "{link}", "{work}"])
def test_the_mirrors_and_the_work_of_others_are_no_repositories(server: GitServer, tmp_path: Path, form: str) -> None:
    server.create("iris", {"MLproject": "name: iris\n"})
    data = tmp_path / "data"
    checkout = fetch(make_source(data), server.url("iris", with_credentials=True))
    (mirror,) = (data / "mirrors").glob("*.git")
    (tmp_path / "link").symlink_to(data)
    link = f"{tmp_path}/link/mirrors/{mirror.name}"
    encoded = str(mirror).replace("data", "d%61ta").replace("mirrors", "m%69rrors")
    path = form.format(mirror=mirror, name=mirror.name, encoded=encoded, link=link, work=checkout.folder)
    source = make_source(data, "file", "http")

    with pytest.raises(UserError, match="data folder") as caught:
        source.checkout(SourceRequest(f"file://{path}", checkout.commit_sha), name="b-1")
    assert caught.value.code == Code.INVALID_PARAMETER

    with_submodule(server, f"file://{path}", checkout.commit_sha)
    with pytest.raises(UserError, match=r"ubmodule.*data folder") as caught:
        fetch(source, server.url("super", with_credentials=True))
    assert caught.value.code == Code.INVALID_PROJECT
