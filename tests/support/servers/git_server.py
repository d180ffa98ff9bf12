"""A real git host on loopback: bare repositories behind `git http-backend`, with a password where a test wants one."""

import base64
import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, unquote, urlsplit

GIT_TIMEOUT_SECONDS = 60
HANG_SECONDS = 120
ENVIRONMENT = {
    "PATH": os.defpath,
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
}


@dataclass(frozen=True)
class SeenRequest:
    """One HTTP request, as the server got it."""

    method: str
    path: str
    authorization: str | None


@dataclass(frozen=True)
class RepositoryOnServer:
    """A bare repository, by the address that opens it."""

    folder: Path
    uri: str

    def commit(
        self,
        files: Mapping[str, str | bytes | None],
        message: str = "Change",
        *,
        branch: str = "main",
        symlinks: Mapping[str, str] | None = None,
        submodules: Mapping[str, str] | None = None,
        parent: str | None = None,
    ) -> str:
        """Commit on a branch and return the SHA; None removes a file, submodules maps paths to commits.

        ``parent`` makes the branch go on from there, as a force push does; "" starts it anew.
        """
        ref = f"refs/heads/{branch}"
        tip = self._find(ref) if parent is None else parent
        header = f"commit {ref}\ncommitter Test <test@example.com> now\n".encode() + _data(message)
        if parent is not None:
            header = f"reset {ref}\n\n".encode() + header
        if tip:
            header += f"from {tip}\n".encode()
        entries = [_entry("100644", path, content) for path, content in files.items()]
        entries += [_entry("120000", path, target) for path, target in (symlinks or {}).items()]
        entries += [f"M 160000 {sha} {path}\n".encode() for path, sha in (submodules or {}).items()]
        self.git("fast-import", "--quiet", "--force", "--date-format=now", stdin=header + b"".join(entries) + b"\n")
        self.git("update-server-info")
        return self.git("rev-parse", ref)

    def tag(self, name: str, *, at: str = "main", message: str | None = None) -> None:
        """Tag a commit; with a message the tag is an annotated one."""
        annotation = [] if message is None else ["-a", "-m", message]
        self.git("tag", "--force", *annotation, name, at)

    def remove_branch(self, name: str) -> None:
        """Delete a branch, as a push of nothing does."""
        self.git("update-ref", "-d", f"refs/heads/{name}")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run git in the repository."""
        return _git("-C", str(self.folder), *arguments, stdin=stdin)

    def _find(self, ref: str) -> str:
        return self.git("for-each-ref", "--format=%(objectname)", ref)


def bare_repository(
    folder: Path, files: Mapping[str, str | bytes] | None = None, *, uri: str | None = None
) -> RepositoryOnServer:
    """Make one, with a first commit on main where there are files; its address is a file's unless another is given."""
    _git("init", "--quiet", "--bare", "--initial-branch=main", "--", str(folder))
    repository = RepositoryOnServer(folder, uri or f"file://{folder}")
    if files:
        repository.commit(files, "First")
    return repository


@dataclass
class Behaviour:
    """How the server answers; a test may change it while it serves."""

    status: int | None = None  # answer this to all requests
    hang: bool = False  # take requests, answer none
    redirect_to: str | None = None  # send every request to the same path of this address
    only_dot_git: bool = False  # redirect repo to repo.git, as GitLab does
    lfs_files: dict[str, bytes] = field(default_factory=dict)  # Git LFS content, by what the pointer says
    lfs_href: str | None = None  # where its files are said to be, instead of here
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

    def lets_in(self, authorization: str | None) -> bool:
        """Whether a request with this Authorization header is answered."""
        if self.username is None:
            return True
        expected = base64.b64encode(f"{self.username}:{self.password or ''}".encode()).decode()
        return authorization == f"Basic {expected}"


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
        if behaviour.hang:
            server.stopped.wait(HANG_SECONDS)
        elif behaviour.status is not None:
            self._send(behaviour.status)
        elif location := self._redirection():
            self._send(301, [("Location", location)])
        elif not server.lets_in(authorization):
            self._send(401, [("WWW-Authenticate", 'Basic realm="git"')])
        elif "/info/lfs/" in self.path:
            self._lfs(body)
        else:
            self._backend(body)

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
                    each["actions"] = {"download": {"href": href, "header": {"X-Key": "a"}}}
                else:
                    each["error"] = {"code": 404, "message": "no such object"}
            self._send(200, content=json.dumps({"objects": objects}).encode())

    def _redirection(self) -> str | None:
        behaviour = self.server.git_server.behaviour
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


def _entry(mode: str, path: str, content: str | bytes | None) -> bytes:
    if content is None:
        return f"D {path}\n".encode()
    return f"M {mode} inline {path}\n".encode() + _data(content)


def _data(content: str | bytes) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return f"data {len(raw)}\n".encode() + raw + b"\n"


def _git(*arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ["git", *arguments],
        input=stdin,
        env=ENVIRONMENT,
        capture_output=True,
        timeout=GIT_TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()
