"""Builds the shell script that starts an attempt's command and leaves proof of it; the runners put it in place."""

import shlex
from collections.abc import Sequence

# A shell dies of SIGTERM at once, and what it runs would lose its grace period and its exit code. With this line before
# the command, the shell waits for it and then ends, never as a success: the rest of the command did not run.
END_AFTER_SIGTERM = "trap 'exit $(( $? ? $? : 143 ))' TERM\n"

START = "start"
PROOF = "proof"

# Run as a file, because what precedes it may split its arguments at spaces, as `exec $*` does, or accept only one.
# Positional parameters, because a variable would show in the command's environment if the image has one of that name.
SCRIPT = """\
#!/bin/sh
{prelude}set -- {command}
(umask 077 && printf begun >"${{0%/*}}/{proof}") || exit 125
command -v bash >/dev/null && exec bash {options}-c "$1"
exec sh {options}-c "$1"
"""


def start_script(command: str, *, prelude: str = "", options: Sequence[str] = ()) -> bytes:
    """Return the file START, which starts the command.

    It runs the ``prelude``, lines of POSIX shell that may give up with `exit`; leaves PROOF next to itself; and becomes
    the shell that runs the command: bash, as with MLflow, else sh.
    """
    words = "".join(f"{shlex.quote(each)} " for each in options)
    whole = shlex.quote(END_AFTER_SIGTERM + command)
    return SCRIPT.format(prelude=prelude, command=whole, proof=PROOF, options=words).encode()
