"""Take each defence of the attack table out, in a copy of the source, and show that its test fails without it."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.attacks.table import PAGE, ROOT, Attack, page, read_table, wrong_with

HUNG = -1
PASSED, FAILED = 0, 1  # pytest's exit codes; others are no answer
SECONDS = 120


@contextmanager
def copied_source() -> Iterator[Path]:
    """Copy what git has or would have: the tests are to run on the defences of the work tree."""
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder:
        listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, Path(folder) / name)
        yield Path(folder)


def outcome(root: Path, attack: Attack) -> tuple[int, str]:
    """Run the row's test there; return pytest's exit code and what it printed."""
    chosen = ("-k", attack.select) if attack.select else ()
    command = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *chosen, attack.test)
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return HUNG, f"not done after {SECONDS} s"
    return done.returncode, done.stdout[-3000:] + done.stderr[-1000:]


def try_out(root: Path, attack: Attack) -> str:
    """Return what is wrong with the row; empty if its test passes with the defence and fails without."""
    code, printed = outcome(root, attack)
    if code != PASSED:
        return f"its test does not pass with the defence (pytest ended with {code})\n{printed}"
    before = attack.take_out(root)
    try:
        code, printed = outcome(root, attack)
    finally:
        (root / attack.file).write_text(before)
    return "" if code in (FAILED, HUNG) else f"its test ends with {code} without the defence\n{printed}"


def main(arguments: Sequence[str]) -> int:
    """Try all rows, or those whose name contains one of the words."""
    parser = argparse.ArgumentParser(prog="make attacks", description=__doc__)
    parser.add_argument("words", nargs="*", help="only rows whose name contains one of these")
    parser.add_argument("--page", action="store_true", help="only write the page of the documentation")
    asked = parser.parse_args(arguments)
    if asked.page:
        PAGE.write_text(page(read_table()))
        return 0
    words = [each.lower() for each in asked.words]
    rows = [each for each in read_table() if not words or any(word in each.name.lower() for word in words)]
    held, wrong = 0, [line for each in rows for line in wrong_with(each)]
    with copied_source() as root:
        for attack in rows if not wrong else ():
            problem = try_out(root, attack)
            held += not problem
            wrong += [f"{attack.name}: {problem}"] if problem else []
            sys.stdout.write(f"{'WRONG' if problem else 'seen'}  {attack.name}\n")
            sys.stdout.flush()
    sys.stdout.write("\n".join([*wrong, f"{held} of {len(rows)} tests fail without their defence.\n"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
