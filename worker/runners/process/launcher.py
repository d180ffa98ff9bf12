"""Runs one attempt's command for the process runner, keeps its output up to a limit, and records how it ended.

`python launcher KEPT_BYTES PROGRAM ARGUMENT…`, in the attempt's folder. It outlives the worker, which reads `launched`,
`log`, `dropped` and `exit`. The runner copies this file next to them, so it imports nothing but the standard library.
"""

import ctypes
import errno
import fcntl
import os
import select
import signal
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

NOT_LAUNCHED, NOT_FOUND = 125, 127
CHUNK_BYTES = 1 << 16
COUNT_EVERY_SECONDS = 0.2
RETRY_SECONDS = 0.2
NO_ROOM_SECONDS = 5.0  # how long to wait for space on a full disk once the command has ended
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
PR_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h
END_SECONDS = 5.0  # for what the command left running; a process that waits for a disk does not end sooner
END_AGAIN_SECONDS = 0.01


def main(kept_bytes: int, argv: list[str]) -> None:
    """Claim the attempt, run its command, and record its end; what the command left running ends, too."""
    os.chdir(Path(sys.argv[0]).parent)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # A handler, because a command would inherit an ignored signal.
        signal.signal(number, lambda *_: None)
    if not _claim():
        return
    _adopt_orphans()
    code = _run(argv, Output(kept_bytes))
    _end_children()
    # Overwrites the file's content, because a full disk has room for nothing else.
    with Path("exit").open("r+b", buffering=0) as file:
        file.write(b"%03d\n" % code)
    os.killpg(0, signal.SIGKILL)


def _claim() -> bool:
    """Link the file `launched`: it exists with its content or not at all, and only one launcher can create it.

    So the command runs once, even with two starts at the same time, or a start after a worker died during another.
    """
    mine, code = Path(f"launched.{os.getpid()}"), Path(f"exit.{os.getpid()}")
    code.write_text("none")
    mine.write_text(f"{os.getpid()}:{int(time.time())}\n")
    try:
        os.link(mine, "launched")
    except FileExistsError:
        code.unlink()
        return False
    finally:
        mine.unlink()
    Path("dropped").write_text(f"{0:020d}")
    code.rename("exit")
    return True


def _adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own, so that a daemon stays findable whatever it changes.

    Only Linux can do this; elsewhere, a daemon is found by its environment or session.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_children() -> None:
    """Kill the children, then those that become children because their parent was killed, until there are none."""
    give_up_at = time.monotonic() + END_SECONDS
    while (children := _find_children()) and time.monotonic() < give_up_at:
        for pid in children:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        time.sleep(END_AGAIN_SECONDS)


def _find_children() -> list[int]:
    me = str(os.getpid())
    return [int(stat.parent.name) for stat in Path("/proc").glob("[1-9]*/stat") if _parent_of(stat) == me]


def _parent_of(stat: Path) -> str | None:
    with suppress(OSError):  # it has ended
        # The program's name, in parentheses, may contain spaces and parentheses.
        return stat.read_text(errors="replace").rpartition(")")[2].split()[1]
    return None


class Output:
    """The log file, and the count of bytes that came after it was full."""

    def __init__(self, kept_bytes: int) -> None:
        self._log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._dropped_file = os.open("dropped", os.O_WRONLY)
        self._room = kept_bytes
        self._dropped = 0
        self._counted_at = 0.0

    def take(self, data: bytes, *, give_up_at: float | None = None) -> int:
        """Write what there is room for; return how much was handled, which is less while the disk is full."""
        kept = data[: self._room]
        try:
            written = os.write(self._log, kept) if kept else 0
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            if give_up_at is None or time.monotonic() < give_up_at:
                return 0
            self._room = written = 0
        self._room -= written
        if written == len(kept):
            self._dropped += len(data) - written
            self.count(at_once=False)
            return len(data)
        return written

    def count(self, *, at_once: bool) -> None:
        """Record how much was dropped; doing so now and then is enough while it goes on."""
        now = time.monotonic()
        if at_once or now - self._counted_at > COUNT_EVERY_SECONDS:
            os.pwrite(self._dropped_file, b"%020d" % self._dropped, 0)
            self._counted_at = now


def _run(argv: list[str], output: Output) -> int:
    """Run the command and collect its output; return its exit code as a shell would."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _become(argv, writing)
    os.close(writing)
    code = _keep_until_end(child, reading, woken, output)
    output.count(at_once=True)
    return code


def _become(argv: list[str], writing: int) -> None:
    try:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these, and a command would inherit that
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o022)  # the worker's umask closes its own files; a training's are created as usual in a shell
        os.chdir("code")
        for descriptor in (1, 2):
            os.dup2(writing, descriptor)
        os.execv(argv[0], argv)  # noqa: S606 - the runner's own, shell and all
    except OSError as error:
        os.write(writing, f"{argv[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(NOT_FOUND)


def _keep_until_end(child: int, reading: int, woken: int, output: Output) -> int:
    sources = [reading, woken]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if woken in ready:
            os.read(woken, CHUNK_BYTES)
        if reading in ready:
            data = os.read(reading, CHUNK_BYTES)
            if not data:  # nothing can print any more, yet the command may go on
                sources = [woken]
            while data := data[output.take(data) :]:
                time.sleep(RETRY_SECONDS)
                if (code := _find_exit(child)) is not None:
                    return _keep_rest(code, data, reading, output)
        if (code := _find_exit(child)) is not None:
            return _keep_rest(code, b"", reading, output)


def _keep_rest(code: int, data: bytes, reading: int, output: Output) -> int:
    """Keep what was printed until now, because what the command left running could print forever."""
    left = int.from_bytes(fcntl.ioctl(reading, termios.FIONREAD, bytes(4)), sys.byteorder)
    while left > 0 and (part := os.read(reading, left)):
        data += part
        left -= len(part)
    give_up_at = time.monotonic() + NO_ROOM_SECONDS
    while data:
        taken = output.take(data, give_up_at=give_up_at)
        if not taken:
            time.sleep(RETRY_SECONDS)
        data = data[taken:]
    return code


def _find_exit(child: int) -> int | None:
    """Return the command's exit code if it has ended; adopted processes that have ended are only cleared away."""
    while (ended := os.waitpid(-1, os.WNOHANG))[0] != child:
        if ended == (0, 0):
            return None
    _, status = ended
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), sys.argv[2:])
    except OSError:
        sys.exit(NOT_LAUNCHED)
