"""A git host that asks for credentials, and how its repositories are fetched."""

import base64
from pathlib import Path
from urllib.parse import quote

from shared.addresses.git_uri import parse_git_uri
from tests.support.servers.git_repository import RepositoryOnServer
from tests.support.servers.git_server import GitServer
from worker.source.checkout import Checkout, GitSource, SourceRequest

LOOPBACK = frozenset({"127.0.0.1"})
USERNAME, PASSWORD = "retrain-bot", "p@ss/w0rd:&%41"
FORMS = (
    PASSWORD,
    quote(PASSWORD, safe=""),
    base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode(),
    base64.b64encode(PASSWORD.encode()).decode(),
)


def make_source(tmp_path: Path, *schemes: str, hosts: frozenset[str] = LOOPBACK, **environ: str) -> GitSource:
    return GitSource(
        tmp_path / "mirrors",
        tmp_path / "work",
        allowed_schemes=frozenset(schemes or {"http"}),
        allowed_hosts=hosts,
        environ={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), **environ},
    )


def fetch(source: GitSource, address: str, ref: str = "main", *, timeout_seconds: float = 30) -> Checkout:
    parsed = parse_git_uri(address)
    request = SourceRequest(parsed.uri, ref, credentials=parsed.credentials)
    return source.checkout(request, name="a-1", timeout_seconds=timeout_seconds)


def gitmodules(**urls: str) -> dict[str, str]:
    entries = (f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n' for path, url in urls.items())
    return {".gitmodules": "".join(entries)}


def with_submodule(server: GitServer, url: str, sha: str) -> RepositoryOnServer:
    repository = server.create("super", {"MLproject": "name: super\n"})
    repository.commit(gitmodules(sub=url), submodules={"sub": sha})
    return repository
