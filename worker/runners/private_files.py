"""Passes secrets to a training in files that only it can read, and the shell line that exports them.

Anybody with access can inspect a container's environment and command (`docker inspect`, the engine's API) and a
process's arguments, but not a file of mode 0600.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

GIT_CONFIG = "gitconfig"
GIT_LOGIN = "gitlogin"
EXPORTS = "exports"
VARIABLES = {  # each is set to its file's path
    GIT_CONFIG: "GIT_CONFIG_GLOBAL",
    GIT_LOGIN: "RETRAIN_GIT_LOGIN_FILE",
    EXPORTS: "RETRAIN_EXPORTS_FILE",
}
# For any POSIX shell, before the user's command: the image may lack `cat`.
PRELUDE = f'. "${VARIABLES[EXPORTS]}" || exit 1\n'


@dataclass(frozen=True)
class PrivateFiles:
    """Files by name, the variables for their paths, and what a POSIX shell runs before the command."""

    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict)
    prelude: str = ""


def private_files(exports: Mapping[str, str], *, of_git: Mapping[str, bytes] = {}) -> PrivateFiles:
    """Return the files that pass these variables to the training, beside those that git reads."""
    files, taken = dict(of_git), {VARIABLES[name] for name in of_git}
    free = {name: value for name, value in exports.items() if name not in taken}
    if free:
        files[EXPORTS] = _script(free)
    return PrivateFiles(files, {name: VARIABLES[name] for name in files}, PRELUDE if free else "")


def _script(exports: Mapping[str, str]) -> bytes:
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in exports.items()]
    return "".join(lines).encode(errors="surrogateescape")  # as Python reads variables that are not UTF-8
