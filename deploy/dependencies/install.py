"""Bring this environment to what requirements.txt locks: by uv where pip can fetch it, else by pip; then mypackage.

uv needs seconds where pip needs minutes. Both refuse a file that has another hash than the lock says. uv itself is
locked, and it asks the package index that pip is set up for. Needs nothing but Python and pip.
"""

import ast
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.dependencies.lock import LOCK, part
from deploy.dependencies.telling import run_telling

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
BY_PIP = (*PIP, "install", "--quiet", "--no-deps")
# pip takes the best match of all indexes, uv that of the first: the hashes say which file it may be.
BY_UV = (
    *(str(Path(sysconfig.get_path("scripts")) / "uv"), "pip", "install", "--quiet", "--python", sys.executable),
    *("--no-deps", "--index-strategy", "unsafe-best-match"),
)
LOCKED = ("--require-hashes", "--requirement")
MYPACKAGE = ("--no-build-isolation", "--editable", str(LOCK.parent))
# The words of a pip that is set up for a mirror or a proxy, and uv's for the same.
UV_WORDS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
PIP_SECTIONS = ("global", "install", ":env:")  # a later one is preferred

Run = Callable[[Sequence[str], Mapping[str, str]], bool]


def install(run: Run, pip_settings: str) -> None:
    """Install the lock and mypackage; exit with a message if neither uv nor pip can."""
    if by_uv(run, {**uv_environment(pip_settings), **os.environ}):
        return
    print("uv could not install the packages; pip does it now, which takes minutes ...", flush=True)
    if not all(run(command, os.environ) for command in ((*BY_PIP, *LOCKED, str(LOCK)), (*BY_PIP, *MYPACKAGE))):
        sys.exit(f"pip could not install what {LOCK.name} locks, and mypackage; its message is above.")


def by_uv(run: Run, environment: Mapping[str, str]) -> bool:
    """Have pip fetch uv and uv install all; return whether that went well."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as only_uv:
        only_uv.write("".join(entry.text for entry in part(LOCK.read_text(), "installer")))
        only_uv.flush()
        commands = (
            (*BY_PIP, "--only-binary", ":all:", *LOCKED, only_uv.name),
            (*BY_UV, *LOCKED, str(LOCK)),
            (*BY_UV, *MYPACKAGE),
        )
        return all(run(command, environment) for command in commands)


def uv_environment(pip_settings: str) -> dict[str, str]:
    """Translate what `pip config list` prints (`section.name='value'` lines) into uv's variables."""
    said = dict(line.split("=", 1) for line in pip_settings.splitlines() if "=" in line)
    found = {}
    for section in PIP_SECTIONS:
        for word, variable in UV_WORDS.items():
            if value := said.get(f"{section}.{word}"):
                found[variable] = " ".join(str(ast.literal_eval(value)).split())
    return found


def run_quietly(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Run a command to its end and return whether it succeeded."""
    return run_telling(command, "still installing", environment=environment) == 0


if __name__ == "__main__":
    listed = subprocess.run((*PIP, "config", "list"), capture_output=True, text=True, check=True)
    install(run_quietly, listed.stdout)
