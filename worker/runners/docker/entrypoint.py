"""Decides how a project's command runs in an image that has an ENTRYPOINT. Pure.

MLflow passes the command's words to the ENTRYPOINT. We pass a file that runs the whole command in a shell, so that
`cd src && python train.py` is one command in the image. That needs an ENTRYPOINT that runs its arguments, as wrappers
do; the other kinds are read here.
"""

import posixpath
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

POSIX_SHELLS = frozenset({"sh", "ash", "dash", "bash"})
SHELLS = POSIX_SHELLS | {"zsh", "ksh", "mksh"}
INTERPRETER = re.compile(r"(python|pypy|lua|php)[0-9.]*|R|Rscript|node|julia|perl|ruby|java|torchrun|deepspeed")
NAMES_FOLLOW = ("-n", "--name")  # as in `conda run -n python`
LONG_OPTIONS_WITH_VALUE = ("--rcfile", "--init-file")
ARGUMENTS = re.compile(r"\$\{?[@*0-9]")


@dataclass(frozen=True)
class Launch:
    """How to start a command: ``wrapper`` comes before our shell, which gets the ``options``."""

    command: str
    wrapper: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class _ShellOptions:
    kept: tuple[str, ...]
    takes_command: bool
    operands: tuple[str, ...]


def launch(entrypoint: Sequence[str], command: str) -> Launch | None:
    """Return how to start the command; None if the ENTRYPOINT is a fixed command that takes no other."""
    words = tuple(entrypoint)
    if not words:
        return Launch(command)
    if command.lstrip().startswith("-"):  # only options: the image's own program is meant
        return Launch(f"{shlex.join(words)} {command}")
    for index in reversed(range(len(words))):
        if index and words[index - 1] in NAMES_FOLLOW:
            continue
        program = posixpath.basename(words[index])
        if program in SHELLS:
            return _through_shell(words, index, command)
        if INTERPRETER.fullmatch(program) and all(each.startswith("-") for each in words[index + 1 :]):
            return Launch(f"{shlex.join(words[index:])} {command}", _wrapper(words[:index]))
    return Launch(_unquoted(command), words)


def _through_shell(words: tuple[str, ...], index: int, command: str) -> Launch | None:
    options = _shell_options(words[index + 1 :])
    if options.operands:
        is_fixed = options.takes_command and not ARGUMENTS.search(options.operands[0])
        return None if is_fixed else Launch(_unquoted(command), words)
    if not options.takes_command and _first_word(command).endswith(".sh"):  # it reads the script that it is given
        return Launch(f"{shlex.join(words[index:])} {command}", _wrapper(words[:index]))
    is_posix = posixpath.basename(words[index]) in POSIX_SHELLS
    kept = options.kept if is_posix else tuple(each for each in options.kept if each == "-l")
    return Launch(_unquoted(command), _wrapper(words[:index]), kept)


def _shell_options(words: Sequence[str]) -> _ShellOptions:
    """Split a shell's arguments; all its options except `c` are kept, such as the `-l` of `bash -lc`."""
    kept: list[str] = []
    takes_command = False
    rest = list(words)
    while rest and rest[0][:1] in ("-", "+"):
        word = rest.pop(0)
        if word in ("-", "--"):
            break
        if not word.startswith("--"):
            takes_command |= word.startswith("-") and "c" in word
            word = word.replace("c", "")
        kept += [word] if len(word) > 1 else []
        if rest and (word in LONG_OPTIONS_WITH_VALUE or (not word.startswith("--") and word[-1:] in ("o", "O"))):
            kept.append(rest.pop(0))
    return _ShellOptions(tuple(kept), takes_command, tuple(rest))


def _wrapper(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return what comes before our shell; busybox runs only its own programs, so it is left out."""
    return words[:-1] if words and posixpath.basename(words[-1]) == "busybox" else words


def _unquoted(command: str) -> str:
    """Remove the command's quotes if all of it is one word, meant for a shell behind the ENTRYPOINT."""
    words = _words(command)
    return f"eval {command}" if len(words) == 1 and re.search(r"\s", words[0]) else command


def _first_word(command: str) -> str:
    return next(iter(_words(command)), "")


def _words(command: str) -> list[str]:
    """Return words and operators, as far as shell grammar can be parsed without a shell."""
    reader = shlex.shlex(command, posix=True, punctuation_chars=True)
    reader.whitespace_split, reader.commenters = True, ""
    try:
        return list(reader)
    except ValueError:  # quotes that only the shell can parse
        return []
