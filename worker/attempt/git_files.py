"""Lets git in a training read its data's repository: a configuration, and the login that it answers that host with."""

from collections.abc import Mapping

from shared.addresses.git_uri import Credentials
from worker.runners.private_files import GIT_CONFIG, GIT_LOGIN, VARIABLES

# git runs this in a shell where the host asks, with nothing that an image might lack. The login is not in the text,
# because that is an argument of the shell.
READ = 'while IFS= read -r line; do printf "%s\\n" "$line"; done'
ANSWER = f'!f() {{ test "$1" = get && {READ} <"${VARIABLES[GIT_LOGIN]}"; }}; f'
ANY_USER = "token"  # older versions of git do not send a password without a name; hosts that take that ask for none


def git_files(credentials: Credentials, *, has_home: bool) -> Mapping[str, bytes]:
    """Return the files by which git answers the data's host where it asks for a login, and no other host.

    The configuration replaces the user's own, and therefore includes it; without HOME, git refuses to read such a line.
    The user's credential helpers are left out for this host: one that stores logins would keep this one.
    """
    own = ["[include]", "\tpath = ~/.gitconfig"] if has_home else []
    lines = [*own, f'[credential "{credentials.origin}"]', "\thelper =", f"\thelper = {_quoted(ANSWER)}"]
    login = [f"username={credentials.username or ANY_USER}", f"password={credentials.password}"]
    return {GIT_CONFIG: _file(lines), GIT_LOGIN: _file(login)}


def _quoted(value: str) -> str:
    """Return a value as a git configuration has it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _file(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
