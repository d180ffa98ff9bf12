"""Run what a page of the documentation tells its reader to do: its own text, in its own order, in one shell.

A block counts if `<!-- test -->` is above it. One of bash is run; one with a title is a file, and is written to the
folder in which the reader then is.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

MARKED_BLOCK = re.compile(
    r'^<!-- test -->\n```(?P<language>\w+)(?: title="(?P<title>[\w./-]+)")?\n(?P<text>.*?)^```$',
    re.DOTALL | re.MULTILINE,
)
NEXT_BLOCK = "=====next block====="
END_OF_FILE = "=====end of file====="


@dataclass(frozen=True)
class Block:
    """A marked block: commands or, with a title, a file."""

    text: str
    title: str = ""

    @property
    def as_commands(self) -> str:
        """What a reader does with it."""
        if not self.title:
            return self.text
        return f"cat >{self.title} <<'{END_OF_FILE}'\n{self.text}{END_OF_FILE}\n"


@dataclass(frozen=True)
class Done:
    """What a block of commands printed."""

    commands: str
    output: str


def marked_blocks(page: Path) -> list[Block]:
    """The page's marked blocks; a block that is neither commands nor a file is a mistake in the page."""
    found = [
        (each["language"], Block(each["text"], each["title"] or "")) for each in MARKED_BLOCK.finditer(page.read_text())
    ]
    assert len(found) == page.read_text().count("<!-- test -->"), f"{page.name} has a mark without a block below it"
    assert all(language == "bash" or block.title for language, block in found), f"a block of {page.name} has no title"
    return [block for _, block in found]


def run_all(blocks: list[Block], *, folder: Path, environment: dict[str, str], seconds: float) -> list[Done]:
    """Run the blocks one after the other in one shell, as a reader does: a variable lives on in the next block."""
    script = f"\necho '{NEXT_BLOCK}'\n".join(block.as_commands for block in blocks)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    outputs = done.stdout.split(f"{NEXT_BLOCK}\n")
    assert done.returncode == 0, f"This block failed:\n{blocks[len(outputs) - 1].text}\n{done.stdout}{done.stderr}"
    return [Done(block.text, output) for block, output in zip(blocks, outputs, strict=True)]
