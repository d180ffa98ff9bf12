"""Finds a work tree's submodules, and decides whether this service may fetch them from their addresses."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from shared.addresses.git_uri import Credentials, GitUri, parse_git_uri
from shared.errors import AttemptError, Code, UserError
from worker.source.address_rules import AddressRules
from worker.source.git import Git

MAX_NESTING = 10


@dataclass(frozen=True)
class Submodule:
    """One submodule: the commit to check out, and its address as git resolved it against origin."""

    name: str
    path: str
    folder: Path
    uri: str
    credentials: Credentials | None  # from .gitmodules, where the project may have put some of its own
    commit_sha: str

    def not_pushed(self) -> UserError:
        """Return the error for a commit that the submodule's repository does not have."""
        message = f"It is pinned to {self.commit_sha}, which its repository {self.uri} does not have. Push that commit."
        return UserError(Code.INVALID_PROJECT, message, uri=self.uri)

    def not_fetched(self, error: AttemptError, uri: str) -> AttemptError:
        """Return the error with the submodule's name, which a repository's own user knows better than its address."""
        ours, theirs = urlsplit(uri), urlsplit(self.uri)
        is_elsewhere = (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc)
        is_refused = error.code is Code.GIT_AUTH_FAILED and is_elsewhere
        only_here = "A token in git_uri is for its own host only. " if is_refused else ""
        message = f"Submodule {self.name!r} of {uri} cannot be fetched. {only_here}{error.message}"
        return type(error)(error.code, message, **{**error.facts, "submodule": self.name})


def find_submodules(
    folder: Path, commits: Mapping[str, str], *, uri: str, git: Git, rules: AddressRules
) -> Iterator[Submodule]:
    """Yield the submodules of the work tree; raise INVALID_PROJECT for an address that git_uri could not have.

    Without a .gitmodules file, an apparent submodule is an empty folder, as it is for git.
    """
    if not commits or not (folder / ".gitmodules").is_file():
        return
    git.must("submodule", "--quiet", "init", cwd=folder)
    names = {path: name for name, path in _settings(folder, "path", git=git, file=".gitmodules").items()}
    addresses = _settings(folder, "url", git=git)
    updates = _settings(folder, "update", git=git)
    for path, commit_sha in commits.items():
        name = names.get(path)
        if name is None or name not in addresses:
            raise _unusable(f"{path!r} of {uri} has no address in .gitmodules. Correct it there.", uri, path)
        if updates.get(name) == "none":
            continue
        address = _address(name, addresses[name], uri=uri, rules=rules)
        yield Submodule(name, path, _folder(folder, path, uri=uri), address.uri, address.credentials, commit_sha)


def too_nested(uri: str) -> UserError:
    """Return the error for submodules that are nested too deeply."""
    return UserError(Code.INVALID_PROJECT, f"Submodules of {uri} are nested more than {MAX_NESTING} deep.", uri=uri)


def _settings(folder: Path, key: str, *, git: Git, file: str | None = None) -> dict[str, str]:
    """Return each submodule's value for the key, by its name."""
    where = ["--file", file] if file else []
    found = git.run("config", *where, "--null", "--get-regexp", rf"^submodule\..*\.{key}$", cwd=folder)  # exits 1: none
    pairs = (entry.partition("\n") for entry in found.stdout.split("\0") if entry)
    return {name.removeprefix("submodule.").removesuffix(f".{key}"): value for name, _, value in pairs}


def _address(name: str, address: str, *, uri: str, rules: AddressRules) -> GitUri:
    what = f"Submodule {name!r} of {uri}"
    try:
        parsed = parse_git_uri(address)
    except ValueError as error:
        message = f"The address of submodule {name!r} of {uri} {error}."
        raise UserError(Code.INVALID_PROJECT, message, uri=uri, submodule=name) from error
    rules.check(parsed, what=what, code=Code.INVALID_PROJECT)
    if parsed.scheme == "file" and not uri.startswith("file:"):
        message = f"{what} is a folder on this worker's machine, which only a local repository may name."
        raise UserError(Code.INVALID_PROJECT, f"{message} Give it an address.", uri=uri, submodule=name)
    return parsed


def _folder(folder: Path, path: str, *, uri: str) -> Path:
    """Return the folder that it goes into: never through a link, nor inside git's own folder."""
    place = folder / path
    if place.resolve() != folder.resolve().joinpath(*Path(path).parts) or ".git" in (
        part.lower() for part in Path(path).parts
    ):
        raise _unusable(f"{path!r} of {uri} is not a folder of its own in the repository. Move it.", uri, path)
    return place


def _unusable(message: str, uri: str, path: str) -> UserError:
    return UserError(Code.INVALID_PROJECT, f"Submodule {message}", uri=uri, path=path)
