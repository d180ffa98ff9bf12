"""What tells that data changed, where the data really is: git hosts, web servers, Azure, folders of this machine."""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from shared.addresses.git_uri import Credentials, parse_git_uri
from shared.errors import AttemptError, AttemptTimeout, InfrastructureError, UserError
from shared.settings import Settings
from tests.fakes.store import MemoryStore
from tests.fakes.tracking import FakeTracking
from tests.integration.source.private_host import make_source
from tests.support.servers.azurite import ACCOUNT, Azurite
from tests.support.servers.git_server import GitServer
from worker.credentials.keys import Keys
from worker.interruption import UntilStopping, WorkerStopping
from worker.triggers.origins import blobs, finding
from worker.triggers.origins.finding import find_revision
from worker.triggers.origins.seam import Revision
from worker.triggers.seam import Around

LOOPBACK = frozenset({"127.0.0.1"})
KEY = "hunter2-of-the-account"


@dataclass
class Looking:
    """A worker's view of data: with these settings, and until it stops."""

    folder: Path
    hosts: frozenset[str] = LOOPBACK
    settings: Mapping[str, Any] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def at(self, address: str, credentials: Credentials | None = None) -> Revision:
        """Look there."""
        around = Around(
            settings=Settings.load(_env_file=None, data_dir=self.folder / "data", **self.settings),
            store=MemoryStore(),
            source=make_source(self.folder, hosts=self.hosts),
            tracking=FakeTracking(),
            interruption=UntilStopping(self.stopping),
        )
        return find_revision(address, around, Keys(dataset=credentials))


@pytest.fixture
def looking(tmp_path: Path) -> Looking:
    return Looking(tmp_path)


@dataclass
class FilesOnWeb:
    """How a web server answers, which a test may change; ``asked`` is what came, with the login."""

    headers: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)  # by method
    login: str | None = None
    hangs: bool = False
    leads_to: str | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def web() -> Iterator[FilesOnWeb]:
    yield from _served()


@pytest.fixture
def elsewhere() -> Iterator[FilesOnWeb]:
    yield from _served()


def _served() -> Iterator[FilesOnWeb]:
    files, over = FilesOnWeb(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            login = self.headers.get("Authorization")
            files.asked.append((f"{self.command} {self.headers.get('Range', '')}".strip(), login))
            if files.hangs:
                over.wait(30)
            status = files.statuses.get(self.command, 200)
            status = 401 if files.login and login != files.login else 302 if files.leads_to else status
            self.send_response(status)
            wants = {"WWW-Authenticate": "Basic"} if status == 401 else {}
            leads = {"Location": files.leads_to} if files.leads_to else {}
            for name, value in {**files.headers, **wants, **leads}.items():
                self.send_header(name, value)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    files.url = f"http://127.0.0.1:{server.server_port}/data.zip"
    yield files
    over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_branch_of_a_private_repository_is_asked_for_its_tip_and_nothing_is_fetched(
    looking: Looking, tmp_path: Path
) -> None:
    with GitServer(tmp_path / "host", "reader", "p@ss/w0rd") as server:
        repository = server.create("data", {"a": "1"})
        login = parse_git_uri(server.url("data", with_credentials=True)).credentials
        first = looking.at(f"{server.url('data')}@main:set", login)
        repository.tag("v1", message="annotated")
        second = repository.commit({"a": "2"})
        assert first.text != second
        assert looking.at(f"{server.url('data')}@main", login).text == second
        assert looking.at(server.url("data"), login).text == second
        assert looking.at(f"{server.url('data')}@v1", login).text == first.text
        with pytest.raises(UserError, match=r"'mian' names no branch, tag or commit. Did you mean 'main'"):
            looking.at(f"{server.url('data')}@mian", login)
        with pytest.raises(UserError, match=r"asks for a login|denied access") as caught:
            looking.at(f"{server.url('data')}@main")
        assert "p@ss" not in caught.value.message
        posts = {seen.path for seen in server.requests if seen.method == "POST"}
    assert not (tmp_path / "mirrors").exists() or list((tmp_path / "mirrors").iterdir()) == []
    assert posts <= {"/data.git/git-upload-pack"}


def test_a_file_on_the_web_is_its_etag_else_its_time_and_length(looking: Looking, web: FilesOnWeb) -> None:
    web.headers = {"ETag": 'W/"7"', "Last-Modified": formatdate(0)}
    assert looking.at(f"{web.url}?version=new#sha256=abc").text == 'ETag W/"7"'
    web.headers = {"Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT", "Content-Length": "12"}
    assert looking.at(web.url).text == "of Thu, 01 Jan 1970 00:00:00 GMT, 12 bytes"
    assert {asked for asked, _ in web.asked} == {"HEAD"}
    web.headers = {"ETag": "x" * 5000}
    assert len(looking.at(web.url).text) < 100


def test_a_server_without_head_is_asked_for_one_byte_that_is_not_read(looking: Looking, web: FilesOnWeb) -> None:
    web.statuses = {"HEAD": 405, "GET": 206}
    web.headers = {"Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT", "Content-Range": "bytes 0-0/77"}
    assert looking.at(web.url).text == "of Thu, 01 Jan 1970 00:00:00 GMT, 77 bytes"
    assert [asked for asked, _ in web.asked] == ["HEAD", "GET bytes=0-0"]
    web.headers = {}
    with pytest.raises(UserError, match=r"neither an ETag nor a Last-Modified"):
        looking.at(web.url)


def test_a_login_is_shown_to_its_host_once_it_asks_and_to_no_other(
    looking: Looking, web: FilesOnWeb, elsewhere: FilesOnWeb
) -> None:
    login = parse_git_uri(web.url.replace("//", "//reader:secret@")).credentials
    assert login is not None
    web.headers, elsewhere.headers = {"ETag": '"1"'}, {"ETag": '"2"'}
    looking.at(web.url, login)
    assert web.asked == [("HEAD", None)]
    web.login, web.leads_to = login.as_basic, elsewhere.url
    assert looking.at(web.url, login).text == 'ETag "2"'
    assert web.asked[-1] == ("HEAD", login.as_basic)
    assert [shown for _, shown in elsewhere.asked] == [None]
    web.leads_to = None
    with pytest.raises(UserError, match=r"answers 401. Check the address, and its login"):
        looking.at(web.url)


def test_where_a_request_may_go_is_checked_also_after_a_redirect_and_in_spite_of_no_proxy(
    tmp_path: Path, web: FilesOnWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(UserError, match=r"lies inside this service's own network|GIT_HOSTS"):
        Looking(tmp_path, hosts=frozenset()).at(web.url)
    with pytest.raises(UserError, match=r"this service allows example.org"):
        Looking(tmp_path, hosts=frozenset({"example.org"})).at(web.url)
    assert web.asked == []
    web.leads_to = "http://169.254.169.254/latest/meta-data"
    with pytest.raises(UserError, match=r"address 169\.254\.169\.254 lies inside"):
        Looking(tmp_path).at(web.url)


@pytest.mark.parametrize("status", [404, 500, 503])
def test_what_a_server_refuses_is_told(looking: Looking, web: FilesOnWeb, status: int) -> None:
    web.statuses = {"HEAD": status, "GET": status}
    with pytest.raises(AttemptError, match=f"answers {status}"):
        looking.at(web.url)


def test_a_silent_server_is_left_when_the_worker_stops_or_the_time_is_up(
    looking: Looking, web: FilesOnWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.hangs = True
    began = time.monotonic()
    monkeypatch.setattr(finding, "LOOK_SECONDS", 1)
    with pytest.raises(AttemptTimeout, match=f"Looking at {web.url} took longer than 1 s"):
        looking.at(web.url)
    looking.stopping.set()
    with pytest.raises(WorkerStopping):
        looking.at(web.url)
    assert time.monotonic() - began < 5


def test_a_host_that_is_not_there_is_told(looking: Looking) -> None:
    with pytest.raises(InfrastructureError, match=r"could not be reached: Could not connect to 127.0.0.1 port 1"):
        looking.at("http://127.0.0.1:1/data.zip")


@pytest.fixture
def container(azurite: Azurite) -> Iterator[ContainerClient]:
    with azurite.new_container() as container:
        yield container


def lends(azurite: Azurite) -> dict[str, Any]:
    return {
        "azure_storage_connection_string": azurite.connection_string,
        "project_env_allowlist": "AZURE_STORAGE_CONNECTION_STRING",
    }


def test_blobs_below_a_prefix_are_one_revision_until_one_changes(
    tmp_path: Path, azurite: Azurite, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "PAGE", 2)
    looking = Looking(tmp_path, settings=lends(azurite))
    address = f"azure://{ACCOUNT}/{container.container_name}/data/set"
    assert looking.at(address).facts == {"blobs": 0}
    for name in ("data/set/a", "data/set/b", "data/set/deep/c", "data/set2/other"):
        container.upload_blob(name, "1")
    first = looking.at(address)
    assert first.facts["blobs"] == 3
    assert looking.at(f"{container.url}/data/set") == first == looking.at(f"{address}/")
    container.upload_blob("data/set2/other", "2", overwrite=True)
    assert looking.at(address) == first
    container.upload_blob("data/set/b", "2", overwrite=True)
    second = looking.at(address)
    assert (second.facts["blobs"], second.text != first.text) == (3, True)
    container.delete_blob("data/set/a")
    assert looking.at(address).facts["blobs"] == 2
    monkeypatch.setattr(blobs, "MOST_BLOBS", 1)
    with pytest.raises(UserError, match=r"more than 1 blobs"):
        looking.at(address)


def test_only_the_account_that_is_lent_to_trainings_is_looked_at(
    tmp_path: Path, azurite: Azurite, container: ContainerClient
) -> None:
    address, lent = f"azure://{ACCOUNT}/{container.container_name}/set", lends(azurite)
    kept = {**lent, "project_env_allowlist": ""}
    with pytest.raises(UserError, match=r"No account in Azure is lent .* PROJECT_ENV_ALLOWLIST"):
        Looking(tmp_path, settings=kept).at(address)
    with pytest.raises(UserError, match=r"in another account than the one that is lent to this service \(store\)"):
        Looking(tmp_path, settings=lent).at("azure://other/container/set")
    with pytest.raises(UserError, match=r"ContainerNotFound"):
        Looking(tmp_path, settings=lent).at(f"azure://{ACCOUNT}/nothing-here/set")
    wrong = {**lent, "azure_storage_connection_string": azurite.connection_string.replace(azurite.key, "aHVudGVyMg==")}
    with pytest.raises(AttemptError, match=r"Azure does not list") as caught:
        Looking(tmp_path, settings=wrong).at(address)
    assert "aHVudGVyMg" not in caught.value.message


def test_a_folder_is_the_names_sizes_and_times_of_its_files(tmp_path: Path) -> None:
    data = tmp_path / "srv" / "set"
    (data / "deep").mkdir(parents=True)
    for name in ("a.csv", "deep/b.csv"):
        (data / name).write_text("1")
    looking = Looking(tmp_path, settings={"trigger_folders": str(tmp_path / "srv")})
    seen = [looking.at(f"file://{data}")]
    assert seen[0].facts == {"files": 2}
    assert looking.at(f"file://{data}/") == seen[0]
    (data / "a.csv").write_text("22")
    seen.append(looking.at(f"file://{data}"))
    os.utime(data / "deep/b.csv", (0, 0))
    seen.append(looking.at(f"file://{data}"))
    (data / "deep/b.csv").rename(data / "c.csv")
    seen.append(looking.at(f"file://{data}"))
    (data / "current").symlink_to("/etc")
    seen.append(looking.at(f"file://{data}"))
    assert len({each.text for each in seen}) == 5
    assert seen[-1].facts == {"files": 3}
    assert looking.at(f"file://{data}/a.csv").facts == {"files": 1}


def test_only_folders_below_the_operators_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv" / "out").symlink_to("/etc")
    looking = Looking(tmp_path, settings={"trigger_folders": str(tmp_path / "srv")})
    for path in (
        "/etc",
        f"{tmp_path}/srv/out",
        f"{tmp_path}/srv/../data",
        f"{tmp_path}/srv/%2e%2e/x",
        f"{tmp_path}/srv2",
    ):
        with pytest.raises(UserError, match=r"TRIGGER_FOLDERS"):
            looking.at(f"file://{path}")
    with pytest.raises(UserError, match=r"There is no file://"):
        looking.at(f"file://{tmp_path}/srv/nothing")
    with pytest.raises(UserError, match=r"TRIGGER_FOLDERS"):
        Looking(tmp_path).at(f"file://{tmp_path}/srv")
