"""Which variables that an operator lends to projects (PROJECT_ENV_ALLOWLIST) are kept private, and which cannot be."""

import re

# A private value is exported by the shell just before the command. These are read before that, are the shell's own,
# which refuses to set some of them (UID), or are a runner's, whose choice of GPUs must stay the last word. The list is
# exact because secrets have such names, too: NVIDIA_API_KEY, LD_SDK_KEY.
NEEDED_BEFORE = re.compile(
    r"PATH|HOME|USER|LOGNAME|HOSTNAME|TERM|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR"
    r"|LD_LIBRARY_PATH|LD_PRELOAD"
    r"|NVIDIA_(VISIBLE_DEVICES|DRIVER_CAPABILITIES|DISABLE_REQUIRE|REQUIRE_[A-Z]+|MIG_[A-Z_]+_DEVICES)"
    r"|CUDA_(VISIBLE_DEVICES|DEVICE_ORDER)|TINI_[A-Z_]+"
    r"|UID|EUID|PPID|GROUPS|DIRSTACK|FUNCNAME|S?RANDOM|SECONDS|LINENO|IFS|ENV|PWD|OLDPWD|OPTIND|PS[0-4]|SHELL|SHELLOPTS"
    r"|SHLVL|BASHOPTS|BASH_[A-Z]+|POSIXLY_CORRECT|_"
)
SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # others no shell can export


def is_private(name: str) -> bool:
    """Whether the variable's value goes to a training in a private file, and is masked in all that is kept or shown."""
    return SHELL_NAME.fullmatch(name) is not None and NEEDED_BEFORE.fullmatch(name) is None
