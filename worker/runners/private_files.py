"""Passes secrets to a training in files that only it can read, and the shell line that exports them.

Anybody with access can inspect a container's environment and command (`docker inspect`, the engine's API) and a
process's arguments, but not a file of mode 0600.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

GIT_CONFIG = "gitconfig"
EXPORTS = "exports"
VARIABLES = {GIT_CONFIG: "GIT_CONFIG_GLOBAL", EXPORTS: "RETRAIN_EXPORTS_FILE"}  # each is set to its file's path
# For any POSIX shell, before the user's command: the image may lack `cat`.
PRELUDE = f'. "${VARIABLES[EXPORTS]}" || exit 1\n'


@dataclass(frozen=True)
class PrivateFiles:
    """Files by name, the variables for their paths, and what a POSIX shell runs before the command."""

    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict)
    prelude: str = ""


def private_files(exports: Mapping[str, str], *, git_config: bytes | None = None) -> PrivateFiles:
    """Return the files that pass these variables and a git configuration to the training."""
    files = {GIT_CONFIG: git_config} if git_config is not None else {}
    free = {name: value for name, value in exports.items() if git_config is None or name != VARIABLES[GIT_CONFIG]}
    if free:
        files[EXPORTS] = _script(free)
    return PrivateFiles(files, {name: VARIABLES[name] for name in files}, PRELUDE if free else "")


def _script(exports: Mapping[str, str]) -> bytes:
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in exports.items()]
    return "".join(lines).encode(errors="surrogateescape")  # as Python reads variables that are not UTF-8
