"""Says which names of branches, tags and commits git takes, and what is wrong with another. Pure."""

import re

from shared.addresses.characters import named

# As in git-check-ref-format with --branch; and what controls a terminal, U+0080 to U+009F, which git does not look at.
FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff~^:?*\[\\]|\.\.|@\{|//|^[-/.]|/\.|[/.]$|\.lock(?=/|$)|^@$")
OF_A_REVISION = re.compile(r"[~^:]|@\{|\.\.")


def problem_with_ref(ref: str) -> str | None:
    """Return why git has no ref of this name, as the rest of a sentence about it; None if it may have one."""
    if not ref:
        return "is empty; leave it out for main, or send a branch, tag or commit SHA"
    found = FORBIDDEN.search(ref)
    if found is None:
        return None
    where = "" if len(found[0]) == 1 and found[0] not in "-/.@" else _place(found, ref)
    problem = f"is not a branch, tag or commit SHA: git takes no name with {named(found[0])}{where}"
    if OF_A_REVISION.search(found[0]):
        return f"{problem}. Send the SHA that `git rev-parse` prints for it"
    return f"{problem}. Send the name as `git branch --all` lists it, or the commit's SHA"


def _place(found: re.Match[str], ref: str) -> str:
    if found[0] == ref:
        return " alone"
    return " at its beginning" if found.start() == 0 else " at its end" if found.end() == len(ref) else " in it"
