"""Decides which variables lent to projects (PROJECT_ENV_ALLOWLIST) are kept private, and which cannot be."""

import re

# A private value is exported by the shell just before the command. These are read before that, belong to the shell
# itself, which refuses to set some of them (UID), or belong to a runner, whose choice of GPUs must win. The list is
# exact because secrets have similar names: NVIDIA_API_KEY, LD_SDK_KEY.
NEEDED_BEFORE = re.compile(
    r"PATH|HOME|USER|LOGNAME|HOSTNAME|TERM|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR"
    r"|LD_LIBRARY_PATH|LD_PRELOAD"
    r"|NVIDIA_(VISIBLE_DEVICES|DRIVER_CAPABILITIES|DISABLE_REQUIRE|REQUIRE_[A-Z]+|MIG_[A-Z_]+_DEVICES)"
    r"|CUDA_(VISIBLE_DEVICES|DEVICE_ORDER)|TINI_[A-Z_]+"
    r"|UID|EUID|PPID|GROUPS|DIRSTACK|FUNCNAME|S?RANDOM|SECONDS|LINENO|IFS|ENV|PWD|OLDPWD|OPTIND|PS[0-4]|SHELL|SHELLOPTS"
    r"|SHLVL|BASHOPTS|BASH_[A-Z]+|POSIXLY_CORRECT|_"
)
SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # a shell cannot export any other name


def is_private(name: str) -> bool:
    """Return whether the value goes to a training in a private file, and is masked wherever it is kept or shown."""
    return SHELL_NAME.fullmatch(name) is not None and NEEDED_BEFORE.fullmatch(name) is None
