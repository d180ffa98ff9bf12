"""Fetches Git LFS files: replaces the pointers in a work tree by their content, through the host's batch API.

Requests go out by the same door as git's. git-lfs itself cannot do that: it uses no proxy on loopback, and goes
wherever the host says.
"""

import errno
import hashlib
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from shared.addresses.git_uri import GitUri, parse_git_uri
from shared.errors import AttemptError, Code, InfrastructureError, UserError
from worker.source.address_rules import AddressRules
from worker.source.git import Git
from worker.source.lfs_pointer import Pointer, find_pointers
from worker.source.limits import Allowance
from worker.source.web_opener import WebOpener

BATCH = 100
CHUNK_BYTES = 256 * 1024
ANSWER_BYTES = 4 * 1024**2
SILENCE_SECONDS = 60
NAMED_FILES = 5
MEDIA_TYPE = "application/vnd.git-lfs+json"


def fetch_lfs_files(
    folder: Path, small_files: Sequence[str], *, uri: str, git: Git, rules: AddressRules, allowance: Allowance
) -> None:
    """Replace all pointers in a work tree fetched from ``uri``; raise INVALID_PROJECT naming those without content."""
    pointers = list(find_pointers(folder, small_files))
    for pointer in pointers:
        allowance.take(files=0, size_bytes=pointer.size)
    if not pointers:
        return
    files = _Files(folder, uri, tuple(pointers), git)
    if uri.startswith("file:"):
        _copy_from(Path(uri.removeprefix("file://")), files)
        return
    server = _Server(_endpoint(folder, files, rules=rules), files, rules)
    with _ways_out(git):
        for start in range(0, len(pointers), BATCH):
            server.fetch(pointers[start : start + BATCH])


@contextmanager
def _ways_out(git: Git) -> Iterator[None]:
    """Let the door lead to any outside host, as LFS files may be stored anywhere; let an interruption close it."""
    if git.door is None:
        yield
        return
    before = git.door.allowed
    git.door.allowed = before.with_any_outside()
    try:
        with git.deadline.interruption.stopping(git.door.cut):
            yield
    finally:
        git.door.allowed = before


@dataclass(frozen=True)
class _Files:
    """The pointers of one work tree."""

    folder: Path
    uri: str
    pointers: tuple[Pointer, ...]
    git: Git

    def error(self, why: str, code: Code = Code.INVALID_PROJECT) -> UserError:
        """Return the error for content that cannot be fetched."""
        names = ", ".join(pointer.path for pointer in self.pointers[:NAMED_FILES])
        more = f" and {len(self.pointers) - NAMED_FILES} more" if len(self.pointers) > NAMED_FILES else ""
        message = (
            f"{self.uri} keeps files in Git LFS ({names}{more}), and {why}. Training would read pointers in their "
            "place. Push the content (git lfs push --all), use an https address with a token that may read it, or take "
            "the files out of Git LFS."
        )
        return UserError(code, message, uri=self.uri, files=tuple(each.path for each in self.pointers[:NAMED_FILES]))

    def put(self, pointer: Pointer, content: IO[bytes]) -> None:
        """Replace a pointer by its file's content, if that is complete and matches the pointer."""
        place, digest, left = self.folder / pointer.path, hashlib.sha256(), pointer.size
        new = self.folder / ".git" / "retrain-lfs"
        with new.open("wb") as file:
            while chunk := content.read(min(CHUNK_BYTES, left + 1)):
                if not self.git.deadline.check():
                    raise self.git.timeout(["git lfs"])
                left -= len(chunk)
                if left < 0:
                    break
                digest.update(chunk)
                file.write(chunk)
        if left or digest.hexdigest() != pointer.oid:
            new.unlink()
            raise self.error(f"what the host has for {pointer.path} is not what its pointer says")
        shutil.copymode(place, new)
        new.replace(place)


def _copy_from(repository: Path, files: _Files) -> None:
    """Copy the content from a repository on this machine, which keeps it in a separate folder."""
    for pointer in files.pointers:
        inner = Path("lfs", "objects", pointer.oid[:2], pointer.oid[2:4], pointer.oid)
        found = next((each for each in (repository / ".git" / inner, repository / inner) if each.is_file()), None)
        if found is None:
            raise files.error("the repository does not have their content")
        with found.open("rb") as content:
            files.put(pointer, content)


def _endpoint(folder: Path, files: _Files, *, rules: AddressRules) -> GitUri:
    """Return the address of the LFS server: what .lfsconfig says, else a path below the repository's address."""
    found = files.git.run("config", "--file", ".lfsconfig", "--get", "lfs.url", cwd=folder)
    address = found.stdout.strip() if found.ok else _default_endpoint(files.uri)
    try:
        parsed = parse_git_uri(address)
    except ValueError as error:
        raise files.error(f"the address of its LFS server {error}") from None
    if parsed.scheme not in ("https", "http"):
        raise files.error("the address of its LFS server (lfs.url) is not an https address")
    rules.check(parsed, what=f"The LFS server of {files.uri}", code=Code.INVALID_PROJECT)
    return parsed


def _default_endpoint(uri: str) -> str:
    """Return the address that git-lfs would guess; for an ssh address, the same path over https."""
    parsed = parse_git_uri(uri)
    if parsed.scheme == "ssh":
        path = uri.partition("://")[2].partition("/")[2] if "://" in uri else uri.partition(":")[2]
        uri = f"https://{parsed.host}/{path.lstrip('/')}"
    return uri.rstrip("/").removesuffix(".git") + ".git/info/lfs"


class _Server:
    """The LFS server of one repository."""

    def __init__(self, address: GitUri, files: _Files, rules: AddressRules) -> None:
        self._address = address
        self._files = files
        self._rules = rules
        self._opener = WebOpener(files.git, files.git.logins.plus(address.credentials))

    def fetch(self, pointers: Sequence[Pointer]) -> None:
        """Request some of the files and download them."""
        wanted = {pointer.oid: pointer for pointer in pointers}
        for found in self._ask(list(wanted.values())):
            pointer = wanted.pop(str(found.get("oid")), None)
            if pointer is None:
                continue
            href, headers = _download(found)
            if href is None:
                raise self._files.error(f"the host does not have the content of {pointer.path}")
            with self._open(urllib.request.Request(href, headers=headers), self._files) as content:  # noqa: S310
                self._files.put(pointer, content)
            self._copy_to_others(pointer, pointers)
        if wanted:
            raise self._files.error(f"the host did not mention {next(iter(wanted.values())).path}")

    def _copy_to_others(self, pointer: Pointer, pointers: Sequence[Pointer]) -> None:
        """Copy a file to the other paths that have the same content."""
        for other in pointers:
            if other.oid == pointer.oid and other.path != pointer.path:
                with (self._files.folder / pointer.path).open("rb") as content:
                    self._files.put(other, content)

    def _ask(self, pointers: Sequence[Pointer]) -> list[dict[str, Any]]:
        objects = [{"oid": pointer.oid, "size": pointer.size} for pointer in pointers]
        body = json.dumps({"operation": "download", "transfers": ["basic"], "objects": objects}).encode()
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            f"{self._address.uri.rstrip('/')}/objects/batch",
            data=body,
            headers={"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE},
        )
        with self._open(request, self._files) as answer:
            try:
                found = json.loads(answer.read(ANSWER_BYTES))["objects"]
            except ValueError:
                raise self._unreachable("it answers with a page or the like, not with JSON") from None
            except (KeyError, TypeError):
                raise self._files.error("its LFS server sent an unreadable answer") from None
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []

    @contextmanager
    def _open(self, request: urllib.request.Request, files: _Files) -> Iterator[IO[bytes]]:
        """Send a request, if its address may be fetched."""
        self._check(request)
        seconds = min(SILENCE_SECONDS, files.git.deadline.check() or 0.1)
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                yield answer
        except AttemptError:
            raise
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error.code) from None
        except (OSError, HTTPException) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            files.git.deadline.check()
            raise self._unreachable(str(error)) from error

    def _check(self, request: urllib.request.Request) -> None:
        """Check an address by git's rules; hosts also keep LFS files in third-party storage."""
        refusal = self._rules.allowed.with_any_outside().refusal_of_host(
            urlsplit(request.full_url).hostname or "",
            what=f"An LFS file of {self._files.uri}",
        )
        if request.type not in ("http", "https") or request.type not in self._rules.allowed.schemes:
            raise self._files.error(f"its LFS server names a {request.type} address, which GIT_SCHEMES does not allow")
        if refusal:
            raise UserError(Code.INVALID_PROJECT, refusal.message, uri=self._files.uri, setting=refusal.setting)

    def _refused(self, status: int) -> AttemptError:
        door = self._files.git.door
        if door and door.refusal:
            return UserError(Code.INVALID_PROJECT, door.refusal.message, setting=door.refusal.setting)
        if status in (401, 403):
            return self._files.error(f"its LFS server denies access ({status})", Code.GIT_AUTH_FAILED)
        if status in (404, 410, 422, 501):
            return self._files.error(f"its host does not have their content ({status})")
        return self._unreachable(f"it answers {status}")

    def _unreachable(self, why: str) -> AttemptError:
        door = self._files.git.door
        if door and door.refusal:
            return UserError(Code.INVALID_PROJECT, door.refusal.message, setting=door.refusal.setting)
        message = f"The LFS server of {self._files.uri} could not be reached: {why}. Check the worker's network."
        return InfrastructureError(Code.GIT_UNREACHABLE, message, uri=self._files.uri)


def _download(found: Mapping[str, Any]) -> tuple[str | None, dict[str, str]]:
    """Return where an object is, and the headers that its server requires."""
    actions = found.get("actions")
    action = actions.get("download") if isinstance(actions, dict) else None
    if not isinstance(action, dict) or not str(action.get("href", "")).startswith(("https://", "http://")):
        return None, {}
    headers = action.get("header")
    pairs = headers.items() if isinstance(headers, dict) else ()
    return str(action["href"]), {str(name): str(value) for name, value in pairs if "\n" not in f"{name}{value}"}
