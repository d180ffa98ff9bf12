"""A real git host on loopback: bare repositories behind `git http-backend`, with a password where a test wants one."""

import base64
import json
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, unquote, urlsplit

from tests.support.servers.git_repository import ENVIRONMENT, GIT_TIMEOUT_SECONDS, RepositoryOnServer, bare_repository

HANG_SECONDS = 120


@dataclass(frozen=True)
class SeenRequest:
    """One HTTP request, as the server got it."""

    method: str
    path: str
    authorization: str | None


@dataclass
class Behaviour:
    """How the server answers; a test may change it while it serves."""

    status: int | None = None  # answer this to all requests
    page: bytes | None = None  # answer this page to all requests
    asks_first: bool = False  # ask for the login before it does any of this
    logins: dict[str, str] = field(
        default_factory=dict
    )  # name of a private repository: user:password. Others refuse any
    hang: bool = False  # take requests, answer none
    redirect_to: str | None = None  # send every request to the same path of this address
    login_at: str | None = None  # send every request to this address
    only_dot_git: bool = False  # redirect repo to repo.git, as GitLab does
    lfs_files: dict[str, bytes] = field(default_factory=dict)  # Git LFS content, by what the pointer says
    lfs_href: str | None = None  # where its files are said to be, instead of here
    lfs_header: dict[str, str] = field(default_factory=lambda: {"X-Key": "a"})  # what their requests must show
    protocol_v2: bool = True  # off, a client may not ask for any commit by its SHA


@dataclass
class GitServer:
    """Serve the bare repositories of a folder. With a username, all requests must show it and the password."""

    root: Path
    username: str | None = None
    password: str | None = None
    behaviour: Behaviour = field(default_factory=Behaviour)
    requests: list[SeenRequest] = field(default_factory=list)

    def __enter__(self) -> "GitServer":
        self.root.mkdir(parents=True, exist_ok=True)
        self.stopped = threading.Event()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.git_server = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop serving; hanging requests end without an answer. Stopping twice is no error."""
        self.stopped.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._http.server_address[1])

    def url(self, name: str, with_credentials: bool = False) -> str:
        """The address of a repository, as a user would write it."""
        userinfo = ""
        if with_credentials and self.username is not None:
            password = f":{quote(self.password, safe='')}" if self.password else ""
            userinfo = f"{quote(self.username, safe='')}{password}@"
        return f"http://{userinfo}127.0.0.1:{self.port}/{quote(name)}.git"

    def create(self, name: str, files: Mapping[str, str | bytes] | None = None) -> RepositoryOnServer:
        """Make a bare repository, with a first commit on main where there are files."""
        return bare_repository(self.root / f"{name}.git", files, uri=self.url(name))

    def authorizations(self, name: str) -> list[str | None]:
        """The Authorization headers that requests for a repository had."""
        return [seen.authorization for seen in self.requests if seen.path.startswith(f"/{name}.git/")]

    def lets_in(self, path: str, authorization: str | None) -> bool:
        """Whether a request with this Authorization header is answered."""
        if self.behaviour.logins:
            login = self.behaviour.logins.get(path.split("/")[1].removesuffix(".git"))
        else:
            login = None if self.username is None else f"{self.username}:{self.password or ''}"
            if login is None:
                return True
        expected = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None
        return authorization == expected


class _Server(ThreadingHTTPServer):
    git_server: GitServer
    daemon_threads = False
    block_on_close = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = HANG_SECONDS
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_args: object) -> None:
        """Stay quiet."""

    def _answer(self) -> None:
        server, behaviour = self.server.git_server, self.server.git_server.behaviour
        body = self._body()
        authorization = self.headers.get("Authorization")
        server.requests.append(SeenRequest(self.command, unquote(self.path), authorization))
        self.close_connection = True
        is_in = server.lets_in(self.path, authorization)
        if behaviour.asks_first and not is_in:
            self._ask()
        elif behaviour.hang:
            server.stopped.wait(HANG_SECONDS)
        elif behaviour.page is not None:
            self._send(200, [("Content-Type", "text/html")], behaviour.page)
        elif behaviour.status is not None:
            self._send(behaviour.status)
        elif location := self._redirection():
            self._send(301, [("Location", location)])
        elif not is_in:
            self._ask()
        elif "/info/lfs/" in self.path:
            self._lfs(body)
        else:
            self._backend(body)

    def _ask(self) -> None:
        self._send(401, [("WWW-Authenticate", 'Basic realm="git"')])

    def _lfs(self, body: bytes) -> None:
        """Answer as a Git LFS server: the batch API, and the files themselves."""
        behaviour, (before, _, name) = self.server.git_server.behaviour, self.path.partition("/info/lfs/")
        if not behaviour.lfs_files:
            self._send(404)
        elif name != "objects/batch":
            self._send(200, content=behaviour.lfs_files[name])
        else:
            here = f"http://127.0.0.1:{self.server.git_server.port}{before}/info/lfs"
            objects = json.loads(body)["objects"]
            for each in objects:
                if each["oid"] in behaviour.lfs_files:
                    href = f"{behaviour.lfs_href or here}/{each['oid']}"
                    each["actions"] = {"download": {"href": href, "header": behaviour.lfs_header}}
                else:
                    each["error"] = {"code": 404, "message": "no such object"}
            self._send(200, content=json.dumps({"objects": objects}).encode())

    def _redirection(self) -> str | None:
        behaviour = self.server.git_server.behaviour
        if behaviour.login_at:
            return behaviour.login_at
        if behaviour.redirect_to:
            return behaviour.redirect_to.rstrip("/") + self.path
        if behaviour.only_dot_git and ".git/" not in self.path:
            return f"http://127.0.0.1:{self.server.git_server.port}" + self.path.replace("/info/", ".git/info/", 1)
        return None

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _backend(self, body: bytes) -> None:
        """Run git http-backend as CGI; it unpacks a gzipped body itself."""
        url = urlsplit(self.path)
        server = self.server.git_server
        environment = {
            **ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": unquote(url.path),
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_USER": server.username or "",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", "") if server.behaviour.protocol_v2 else "",
        }
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            env=environment,
            capture_output=True,
            timeout=GIT_TIMEOUT_SECONDS,
            check=False,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [(k, v) for k, _, v in (line.partition(": ") for line in head.decode().splitlines())]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self._send(status, [pair for pair in headers if pair[0] != "Status"], content)

    def _send(self, status: int, headers: Sequence[tuple[str, str]] = (), content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(ConnectionError):  # git has seen enough
            self.wfile.write(content)
