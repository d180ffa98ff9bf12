"""How a shell starts an attempt's command, and leaves proof that it did. Texts only; the runners put them in place."""

import shlex
from collections.abc import Sequence

# A shell dies of SIGTERM at once, and what it runs would lose its grace and its exit code. With this before the
# command it waits for that and ends, never as a success: what stands behind it in the command did not run.
END_AFTER_SIGTERM = "trap 'exit $(( $? ? $? : 143 ))' TERM\n"

START = "start"
PROOF = "proof"

# Run as a file, for what stands before it may split its arguments at spaces, as `exec $*` does, or take one only.
# Positional parameters, because a variable would show in the command's environment where the image has one of that
# name.
SCRIPT = """\
#!/bin/sh
{prelude}set -- {command}
(umask 077 && printf begun >"${{0%/*}}/{proof}") || exit 125
command -v bash >/dev/null && exec bash {options}-c "$1"
exec sh {options}-c "$1"
"""


def start_script(command: str, *, prelude: str = "", options: Sequence[str] = ()) -> bytes:
    """Return the file START, which starts the command.

    It runs the ``prelude``, lines of POSIX shell that may give up with `exit`; leaves PROOF beside itself; and becomes
    the shell that runs the command: bash, as with MLflow, else sh.
    """
    words = "".join(f"{shlex.quote(each)} " for each in options)
    whole = shlex.quote(END_AFTER_SIGTERM + command)
    return SCRIPT.format(prelude=prelude, command=whole, proof=PROOF, options=words).encode()
