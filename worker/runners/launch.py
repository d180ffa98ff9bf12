"""Builds the shell script that starts an attempt's command and leaves proof of it; the runners put it in place."""

import re
import shlex
from collections.abc import Sequence

# A shell dies of SIGTERM at once, and what it runs would lose its grace period and its exit code. With this line before
# the command, the shell waits for it and then ends, never as a success: the rest of the command did not run.
END_AFTER_SIGTERM = "trap 'exit $(( $? ? $? : 143 ))' TERM\n"

# To bash, as to MLflow, a command has succeeded if its last step has. These traps say so where another one failed: ERR
# sees a step before the next line, and PIPESTATUS one before a pipe, at the EXIT or, with the DEBUG trap, before the
# next step. SIGPIPE (141) is how `head` ends what it no longer reads. The command's own traps take the place of ours.
STEP_FAILED = "retrain: a step of the command ended with exit code"
WATCH = (
    """retrain_step() { [ "$#" = 1 ] || while [ "$#" != 0 ];do """
    """case "$1" in 0|141);;*)retrain_step="${retrain_step:-$1}";;esac;shift;done;:;}; """
    """trap 'retrain_step "$?" 0' ERR; """
    """trap 'set -- "$?" "${PIPESTATUS[@]}";[ "$1" != 0 ]||{ shift;retrain_step "$@";[ -z "${retrain_step:-}" ]||"""
    f"""echo "{STEP_FAILED} $retrain_step, and the command went on" >&2||:;}}' EXIT; """
)
WATCH_OF_PIPES = """trap 'retrain_step "${PIPESTATUS[@]}"' DEBUG; """
# With these, bash would print the traps, run another for them or hand them on: `set -x`, `trap … DEBUG`, `set -a`, the
# last word of the step before. A bound on the options: a long command of nothing but "set" would take a minute.
SHOWS_TRAPS = re.compile(r"\bset[ \t]+(?:[-+]?\w+[ \t]+){0,9}-\w*[xa]|xtrace|allexport|\bDEBUG\b|\$_\b|\$\{_\}")

START = "start"
PROOF = "proof"

# Run as a file, because what precedes it may split its arguments at spaces, as `exec $*` does, or accept only one.
# Positional parameters, because a variable would show in the command's environment if the image has one of that name.
SCRIPT = """\
#!/bin/sh
{prelude}set -- {command} {watch}
(umask 077 && printf begun >"${{0%/*}}/{proof}") || exit 125
command -v bash >/dev/null && exec bash {options}-c "$2$1"
exec sh {options}-c "$1"
"""


def start_script(command: str, *, prelude: str = "", options: Sequence[str] = ()) -> bytes:
    """Return the file START, which starts the command.

    It runs the ``prelude``, lines of POSIX shell that may give up with `exit`; leaves PROOF next to itself; and becomes
    the shell that runs the command: bash, as with MLflow, else sh.
    """
    words = "".join(f"{shlex.quote(each)} " for each in options)
    whole = shlex.quote(END_AFTER_SIGTERM + command)
    watch = shlex.quote(_watch(command))
    return SCRIPT.format(prelude=prelude, command=whole, watch=watch, proof=PROOF, options=words).encode()


def _watch(command: str) -> str:
    if SHOWS_TRAPS.search(command):
        return ""
    return WATCH + (WATCH_OF_PIPES if "|" in command else "")
