"""Makes a repository, and looks whether there is one, without a process of git for it: each job needs both.

What a repository must have: gitrepository-layout(5). A newer git reads this form as it reads its own.
"""

import re
from pathlib import Path

HEAD = re.compile(r"^(ref: refs/\S+|[0-9a-f]{40}([0-9a-f]{24})?)\n?$")
FOLDERS = ("objects/info", "objects/pack", "refs/heads", "refs/tags")
CONFIG = """\
[core]
	repositoryformatversion = 0
	filemode = true
	bare = false
	logallrefupdates = true
[remote "origin"]
	url = "{url}"
	fetch = +refs/heads/*:refs/remotes/origin/*
"""


def make_repository(folder: Path, *, origin: str) -> None:
    """Make an empty repository as `git init` and `git remote add origin` do; the folder may be there, but empty."""
    inside = folder / ".git"
    for name in FOLDERS:
        (inside / name).mkdir(parents=True)
    (inside / "HEAD").write_text("ref: refs/heads/main\n")
    if "\n" in origin or "\0" in origin:
        raise ValueError("an address of one line is needed")
    (inside / "config").write_text(CONFIG.format(url=origin.replace("\\", "\\\\").replace('"', '\\"')))


def is_git_folder(folder: Path) -> bool:
    """Return whether git would take the folder for a repository, by what git itself looks at."""
    try:
        head = (folder / "HEAD").read_text()
    except (OSError, UnicodeDecodeError):
        return False
    return bool(HEAD.match(head)) and (folder / "objects").is_dir() and (folder / "refs").is_dir()
