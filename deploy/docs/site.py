"""Build the documentation's site into build/site: check the spelling, stage the pages, run the generator, check again.

Pages link to files of the repository as Markdown does everywhere, so that they can be read without the site, too. Here
such a link goes to the page made of that file, or to a copy of the file.
"""

import fcntl
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from os.path import relpath
from pathlib import Path, PurePosixPath

from deploy.docs.built_site import faults

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
STAGE, SITE = BUILD / "docs", BUILD / "site"
PROGRAMS = ROOT / ".venv-docs/bin"
PAGES_OF_ROOT = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing/start.md",
    "SECURITY.md": "security.md",
}
LINK = re.compile(r"(?<!`)(!?\[[^\]]*\]\()([^)\s#]+)(#[^)\s]*)?(\))")
FENCED = re.compile(r"^(\s*```.*?^\s*```)$", re.DOTALL | re.MULTILINE)


class DocsError(Exception):
    """The site cannot be built; the message has a line for each fault."""


@dataclass
class Stage:
    """The folder that the generator reads: pages with their links turned round, and the files that they lead to."""

    root: Path
    folder: Path
    faults: list[str] = field(default_factory=list)

    def fill(self) -> None:
        """Stage every page, and whatever a page links to."""
        for path in sorted((self.root / "docs").rglob("*")):
            if path.is_file():
                self._add(path.relative_to(self.root).as_posix())
        for name in PAGES_OF_ROOT:
            self._add(name)

    def _add(self, path: str) -> None:
        target = self.folder / staged_path(path)
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if not path.endswith(".md"):
            shutil.copyfile(self.root / path, target)
            return
        target.touch()  # pages link to each other
        target.write_text(self._turned_round((self.root / path).read_text(), path))

    def _turned_round(self, text: str, page: str) -> str:
        parts = FENCED.split(text)  # text and code in turn
        turned = [
            part if index % 2 else LINK.sub(lambda found: self._link(found, page), part)
            for index, part in enumerate(parts)
        ]
        return "".join(turned)

    def _link(self, found: re.Match[str], page: str) -> str:
        before, address, anchor, after = found[1], found[2], found[3] or "", found[4]
        if "://" in address or address.startswith("mailto:"):
            return found[0]
        path = _inside(PurePosixPath(page).parent / address)
        if path and (self.root / path).is_dir():
            path = self._page_of_folder(path)
        target = staged_path(path)
        if not path or not ((self.folder / target).is_file() or (self.root / path).is_file()):
            self.faults.append(f"{page}: {address} is not in this repository")
            return found[0]
        self._add(path)
        kept = anchor if target.endswith(".md") else ""
        return f"{before}{relpath(target, PurePosixPath(staged_path(page)).parent)}{kept}{after}"

    def _page_of_folder(self, path: str) -> str:
        """Return the page of a folder; a folder of docs/ without one gets a list of its pages."""
        if not path.startswith("docs/"):
            return f"{path}/README.md"
        index = f"{path}/index.md"
        staged = self.folder / staged_path(index)
        if not (self.root / index).exists() and not staged.exists():
            pages = sorted((self.root / path).glob("*.md"))
            heading = f"# {PurePosixPath(path).name.replace('-', ' ').capitalize()}\n"
            staged.parent.mkdir(parents=True, exist_ok=True)
            staged.write_text("\n".join([heading, *(f"- [{_heading(page)}]({page.name})" for page in pages)]))
        return index


def _heading(page: Path) -> str:
    return page.read_text().partition("\n")[0].removeprefix("# ")


def staged_path(path: str) -> str:
    """Where a file of the repository is among the pages."""
    if path in PAGES_OF_ROOT:
        return PAGES_OF_ROOT[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.endswith("/README.md"):
        return f"{path.removesuffix('/README.md')}.md"
    return f"source/{path}.txt"  # as text, browsers show it


def _inside(path: PurePosixPath) -> str:
    """Return the path from the repository's root; empty if it leaves the repository."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and not parts:
            return ""
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def build() -> None:
    """Stage, build strictly, and check; DocsError says what is wrong. One build at a time: others wait."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "docs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _build()


def _build() -> None:
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.rmtree(SITE, ignore_errors=True)
    stage = Stage(ROOT, STAGE / "pages")
    stage.fill()
    if stage.faults:
        raise DocsError("\n".join(stage.faults))
    (STAGE / "pages/zensical.toml").rename(STAGE / "zensical.toml")
    _run("codespell", *sorted(map(str, (STAGE / "pages").rglob("*.md"))))
    _run("zensical", "build", "--strict", "--clean", "--config-file", str(STAGE / "zensical.toml"))
    (STAGE / "site").rename(SITE)  # Zensical writes beside its configuration only
    if found := faults(SITE):
        raise DocsError("\n".join(found))


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run([PROGRAMS / program, *arguments], cwd=STAGE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DocsError(f"{done.stdout}{done.stderr}")


def main() -> int:
    """Build the site, and say where it is."""
    try:
        build()
    except DocsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(f"The documentation is in {SITE.relative_to(ROOT)}: open index.html there.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
