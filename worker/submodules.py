"""Submodules of a work tree, level by level: each address is held to the service's rules before git goes there."""

from contextlib import suppress
from pathlib import Path

from shared.errors import Code, UserError
from shared.git_uri import parse_git_uri
from worker.allowed import AddressRules
from worker.folder_tree import remove_tree
from worker.git import Git

MAX_DEPTH = 10


def check_out_submodules(folder: Path, *, git: Git, rules: AddressRules, depth: int = 0) -> None:
    """Bring all submodules of a work tree, and theirs; shallow where the host gives commits by SHA."""
    if not (folder / ".gitmodules").is_file():
        return
    if depth == MAX_DEPTH:
        raise UserError(Code.INVALID_PROJECT, f"Submodules of {git.uri} are nested more than {MAX_DEPTH} deep.")
    git.must("submodule", "--quiet", "init", cwd=folder)
    _check_addresses(folder, git=git, rules=rules)
    _update(folder, git=git)
    listing = git.must("ls-files", "-z", "--stage", cwd=folder)
    for entry in filter(None, listing.split("\0")):
        stage, _, path = entry.partition("\t")
        if stage.startswith("160000 ") and not (folder / path).is_symlink():
            check_out_submodules(folder / path, git=git, rules=rules, depth=depth + 1)


def _check_addresses(folder: Path, *, git: Git, rules: AddressRules) -> None:
    """Raise unless every address, as git resolved it against origin, is one that git_uri could have."""
    found = git.run("config", "--null", "--get-regexp", r"^submodule\..*\.url$", cwd=folder)  # exits 1 for none
    for entry in filter(None, found.stdout.split("\0")):
        name, _, address = entry.partition("\n")
        name = name.removeprefix("submodule.").removesuffix(".url")
        try:
            parsed = parse_git_uri(address)
        except ValueError as error:
            message = f"The address of submodule {name!r} of {git.uri} {error}."
            raise UserError(Code.INVALID_PROJECT, message, uri=git.uri, submodule=name) from error
        rules.check(parsed, what=f"Submodule {name!r} of {git.uri}", code=Code.INVALID_PROJECT)


def _update(folder: Path, *, git: Git) -> None:
    shallow = git.run("submodule", "--quiet", "update", "--depth=1", cwd=folder)
    if shallow.ok:
        return
    git.must("submodule", "--quiet", "deinit", "--force", "--all", cwd=folder)
    with suppress(FileNotFoundError):
        remove_tree(Path(git.must("rev-parse", "--absolute-git-dir", cwd=folder)) / "modules")
    git.must("submodule", "--quiet", "update", "--init", cwd=folder)
