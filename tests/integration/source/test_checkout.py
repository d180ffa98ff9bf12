"""Sources from a real git host: what each kind of ref means, what the mirror saves, what is left behind."""

import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.addresses.git_ref import problem_with_ref
from shared.errors import Code, UserError
from tests.support.servers.git_repository import RepositoryOnServer
from tests.support.servers.git_server import GitServer
from worker.source.checkout import Checkout, GitSource, SourceRequest
from worker.source.mirror import KEPT_COMMITS, MAX_PACKS

MLPROJECT = {"MLproject": "name: iris\n", "train.py": "print(1)\n"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "host") as server:
        yield server


@pytest.fixture
def iris(server: GitServer) -> RepositoryOnServer:
    return server.create("iris", MLPROJECT)


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return make_source(tmp_path, "http")


def make_source(tmp_path: Path, scheme: str) -> GitSource:
    return GitSource(
        tmp_path / "mirrors",
        tmp_path / "work",
        allowed_schemes=frozenset({scheme}),
        allowed_hosts=frozenset({"127.0.0.1"}),
        environ={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )


def fetch(source: GitSource, uri: str, ref: str = "main", commit_sha: str | None = None, name: str = "a-1") -> Checkout:
    return source.checkout(SourceRequest(uri, ref, commit_sha), name=name, timeout_seconds=30)


def test_a_branch_is_its_newest_commit_each_time(iris: RepositoryOnServer, source: GitSource) -> None:
    first = fetch(source, iris.uri)
    sha = iris.commit({"train.py": "print(2)\n", "MLproject": None})
    second = fetch(source, iris.uri)
    assert (second.commit_sha, second.branch) == (sha, "main")
    assert first.commit_sha != sha
    assert sorted(path.name for path in second.folder.iterdir()) == [".git", "train.py"]
    assert (second.project_folder / "train.py").read_text() == "print(2)\n"


@pytest.mark.parametrize("v2", [True, False], ids=["any SHA may be asked for", "only tips may be asked for"])
def test_each_kind_of_ref_finds_its_commit(
    server: GitServer, iris: RepositoryOnServer, source: GitSource, v2: bool
) -> None:
    server.behaviour.protocol_v2 = v2
    old = iris.git("rev-parse", "main")
    middle = iris.commit({"more": "1"})
    iris.tag("light")
    iris.tag("v1.0", message="annotated")
    new = iris.commit({"more": "2"}, branch="topic/a", parent=middle)
    iris.tag("topic/a", at=old)
    found = {
        ref: (checkout.commit_sha, checkout.branch)
        for ref in ("light", "v1.0", "refs/tags/v1.0", "HEAD", "topic/a", new, new[:7], old.upper(), old[:7], middle)
        if (checkout := fetch(source, iris.uri, ref))
    }
    assert found == {
        "light": (middle, None),
        "v1.0": (middle, None),
        "refs/tags/v1.0": (middle, None),
        "HEAD": (middle, "main"),
        "topic/a": (new, "topic/a"),
        new: (new, None),
        new[:7]: (new, None),
        old.upper(): (old, None),
        old[:7]: (old, None),
        middle: (middle, None),
    }


def test_the_sha_of_an_annotated_tag_is_its_commit(iris: RepositoryOnServer, source: GitSource) -> None:
    iris.tag("v1", message="annotated")
    tag = iris.git("rev-parse", "v1")
    assert fetch(source, iris.uri, tag).commit_sha == iris.git("rev-parse", "main")


def test_a_missing_ref_names_the_branches_that_exist(iris: RepositoryOnServer, source: GitSource) -> None:
    iris.git("branch", "--move", "main", "master")
    iris.git("symbolic-ref", "HEAD", "refs/heads/master")
    for number in range(20):
        iris.git("branch", f"feature-{number:02}", "master")
    with pytest.raises(UserError, match="Did you mean 'master'") as caught:
        fetch(source, iris.uri, "main")
    assert caught.value.code == Code.REF_NOT_FOUND
    assert caught.value.facts["branches"] == ("master", *(f"feature-{number:02}" for number in range(9)))


@pytest.mark.parametrize(
    "ref", ["0" * 40, "00000000", "no;touch x", "a:b", "-x", "--upload-pack=x", "a b", "*", "", "x~1"]
)
def test_what_names_no_commit_is_said_clearly(
    iris: RepositoryOnServer, source: GitSource, tmp_path: Path, ref: str
) -> None:
    with pytest.raises(UserError, match="names no branch, tag or commit") as caught:
        fetch(source, iris.uri, ref)
    assert caught.value.code == Code.REF_NOT_FOUND
    assert not list((tmp_path / "work").glob("*"))


@pytest.mark.parametrize("ref", ["x;touch${IFS}y&'\"", "feature/größe", "fix(ui),it's", "+x", "机能"])
def test_a_branch_with_other_letters_or_a_shells_signs_is_fetched(
    iris: RepositoryOnServer, source: GitSource, ref: str
) -> None:
    sha = iris.commit({"a": "1"}, branch=ref)
    assert fetch(source, iris.uri, ref).commit_sha == sha
    assert problem_with_ref(ref) is None


def test_an_ambiguous_short_sha_says_so(iris: RepositoryOnServer, source: GitSource) -> None:
    commits = (f"commit refs/heads/main\ncommitter T <t@example.com> {n} +0000\ndata 0\n" for n in range(2000))
    iris.git("fast-import", "--quiet", "--force", stdin="\n".join(commits).encode())  # 30 pairs among them begin alike
    shas = Counter(sha[:4] for sha in iris.git("rev-list", "main").split())
    prefix = next(prefix for prefix, count in shas.items() if count > 1)
    with pytest.raises(UserError, match=r"ambiguous: [23] commits") as caught:
        fetch(source, iris.uri, prefix)
    assert caught.value.code == Code.REF_NOT_FOUND


def test_an_empty_repository_is_said_to_be_empty(server: GitServer, source: GitSource) -> None:
    for ref in ("main", "HEAD"):
        with pytest.raises(UserError, match="the repository has no branches"):
            fetch(source, server.create(f"empty-{ref}").uri, ref)


def test_a_pinned_commit_is_not_fetched_again(server: GitServer, iris: RepositoryOnServer, source: GitSource) -> None:
    sha = fetch(source, iris.uri).commit_sha
    iris.commit({"train.py": "print(2)\n"})
    iris.git("update-ref", "-d", "refs/heads/main")
    iris.git("gc", "--prune=now", "--quiet")
    again = fetch(source, iris.uri, "main", sha, name="a-2")
    assert again.commit_sha == sha
    assert (again.folder / "train.py").read_text() == "print(1)\n"


def test_a_pinned_commit_is_fetched_where_no_mirror_has_it(iris: RepositoryOnServer, source: GitSource) -> None:
    sha = iris.git("rev-parse", "main")
    iris.commit({"train.py": "print(2)\n"})
    assert fetch(source, iris.uri, "main", sha).commit_sha == sha


def test_a_forced_push_and_a_deleted_branch_are_followed(iris: RepositoryOnServer, source: GitSource) -> None:
    lost = fetch(source, iris.uri).commit_sha
    assert fetch(source, iris.uri, lost[:10]).commit_sha == lost
    forced = iris.commit({"other": "1"}, parent="")
    iris.commit({"b": "1"}, branch="a")
    assert fetch(source, iris.uri).commit_sha == forced
    assert fetch(source, iris.uri, "main", lost).commit_sha == lost
    fetch(source, iris.uri, "a")
    iris.remove_branch("a")
    below = iris.commit({"b": "2"}, branch="a/b")
    assert fetch(source, iris.uri, "a/b").commit_sha == below
    with pytest.raises(UserError, match="'a' names no branch"):
        fetch(source, iris.uri, "a")


def test_fetches_are_shallow_until_the_history_is_needed(
    iris: RepositoryOnServer, source: GitSource, server: GitServer, tmp_path: Path
) -> None:
    first = iris.git("rev-parse", "main")
    for number in range(3):
        iris.commit({"n": str(number)})
    checkout = fetch(source, iris.uri)
    (mirror,) = (tmp_path / "mirrors").glob("*.git")
    assert len((mirror / "shallow").read_text().split()) == 1
    assert len((checkout.folder / ".git" / "shallow").read_text().split()) == 1
    fetch(source, iris.uri, first[:12])
    assert not (mirror / "shallow").exists()
    iris.commit({"n": "new"})
    fetch(source, iris.uri)
    assert not (mirror / "shallow").exists()


def test_eight_attempts_fetch_one_repository_at_once(
    iris: RepositoryOnServer, source: GitSource, tmp_path: Path
) -> None:
    iris.commit({"big": "x" * 10**6}, branch="big", parent=iris.git("rev-parse", "main"))
    ready = threading.Barrier(8)

    def attempt(number: int) -> Checkout:
        ready.wait(30)
        return fetch(source, iris.uri, "main" if number % 2 else "big", name=f"job-{number}")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(attempt, range(8)))
    assert [c.commit_sha for c in found] == [iris.git("rev-parse", "big"), iris.git("rev-parse", "main")] * 4
    assert all((c.folder / "train.py").is_file() for c in found)
    assert len(list((tmp_path / "mirrors").glob("*.git"))) == 1


def test_a_mirror_does_not_grow_without_bounds(
    iris: RepositoryOnServer, source: GitSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.source.mirror.KEPT_COMMITS", 3)
    monkeypatch.setattr("worker.source.mirror.MAX_PACKS", 5)
    assert (KEPT_COMMITS, MAX_PACKS) == (20, 40)
    for number in range(8):
        iris.commit({"n": str(number)}, parent="" if number % 2 else None)
        fetch(source, iris.uri)
        (mirror,) = (tmp_path / "mirrors").glob("*.git")
        assert len(list((mirror / "objects" / "pack").glob("*.pack"))) <= 5
    assert len(list((mirror / "retrain-uses").iterdir())) == 3


def test_a_killed_git_and_a_damaged_mirror_are_recovered_from(
    iris: RepositoryOnServer, source: GitSource, tmp_path: Path
) -> None:
    fetch(source, iris.uri)
    (mirror,) = (tmp_path / "mirrors").glob("*.git")
    for name in ("shallow.lock", "packed-refs.lock", "refs/retrain/fetched.lock", "objects/pack/tmp_pack_x"):
        (mirror / name).touch()
    sha = iris.commit({"a": "1"})
    assert fetch(source, iris.uri).commit_sha == sha
    assert not (mirror / "objects/pack/tmp_pack_x").exists()
    (mirror / "HEAD").write_bytes(b"")
    assert fetch(source, iris.uri).commit_sha == sha
    shutil.rmtree(mirror)
    mirror.write_text("a plain file")
    assert fetch(source, iris.uri).commit_sha == sha


def test_after_discard_only_the_mirror_is_left(iris: RepositoryOnServer, source: GitSource, tmp_path: Path) -> None:
    checkout = fetch(source, iris.uri)
    locked = checkout.folder / "made-by-training"
    locked.mkdir()
    (locked / "file").touch()
    locked.chmod(0o500)
    source.discard("a-1")
    source.discard("a-1")
    assert not list((tmp_path / "work").iterdir())
    assert sorted(path.suffix for path in (tmp_path / "mirrors").iterdir()) == [".git", ".lock"]


def test_what_an_earlier_try_left_is_replaced(iris: RepositoryOnServer, source: GitSource) -> None:
    leftover = fetch(source, iris.uri).folder / "leftover"
    leftover.touch()
    assert not (fetch(source, iris.uri).folder / "leftover").exists()
    assert not leftover.exists()


def test_a_shallow_local_repository_works_where_files_are_allowed(iris: RepositoryOnServer, tmp_path: Path) -> None:
    iris.commit({"a": "1"})
    iris.git("clone", "--quiet", "--depth=1", "--no-local", f"file://{iris.folder}", str(tmp_path / "shallow"))
    source = make_source(tmp_path / "data", "file")
    sha = iris.git("rev-parse", "main")
    for ref in ("main", sha, sha[:9], "HEAD"):
        assert fetch(source, f"file://{tmp_path}/shallow", ref).commit_sha == sha
