"""Asks the API and its pages as a caller of each role. Ends with 1 if an answer is a 5xx, or not as is documented."""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.pages import ask_all_pages
from tests.fuzz.site import Site

PROGRAM = shutil.which("schemathesis", path=str(Path(sys.executable).parent)) or "schemathesis"
CASES = re.compile(r"([\d,]+) generated")
SETTINGS = Path(__file__).with_name("schemathesis.toml")


def main(arguments: Sequence[str]) -> int:
    """Ask, and say how it went."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=30, help="of each operation, in each phase")
    parser.add_argument("--roles", nargs="+", help="by default all, and nobody")
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--isolated", action="store_true", help="with TEAMS_ISOLATED")
    parser.add_argument("--only", choices=("api", "pages"), help="by default both")
    parser.add_argument("--seed", type=int, default=19)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        site, failed = Site(Path(folder), isolated=chosen.isolated), list[str]()

        def ask() -> None:
            try:
                failed.extend(ask_all(site, chosen, folder) if chosen.only != "pages" else ())
                failed.extend(ask_pages(site, chosen) if chosen.only != "api" else ())
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        asking = threading.Thread(target=ask)
        asking.start()
        site.server.serve(on_stop=lambda: None)
        asking.join()
        site.stop()
    sys.stdout.write(
        f"failed: {', '.join(failed)}\n" if failed else "Every answer is as documented, and none is a 5xx.\n"
    )
    return 1 if failed else 0


def ask_all(site: Site, chosen: argparse.Namespace, folder: str) -> list[str]:
    """Return as whom it failed."""
    failed, cases = [], 0
    for name in chosen.roles or site.callers:
        asked = command(site, name, chosen)
        run = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)
        found = CASES.search(run.stdout)
        cases += int(found[1].replace(",", "")) if found else 0
        if run.returncode or not found:
            failed.append(name)
            sys.stdout.write(f"{run.stdout}\n{run.stderr}\n")
        sys.stdout.write(f"{name}: {found[0] if found else 'none'}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{cases} cases\n")
    return failed


def ask_pages(site: Site, chosen: argparse.Namespace) -> list[str]:
    """Return whether it failed on the pages."""
    try:
        asked = ask_all_pages(site, names=chosen.roles, examples=chosen.examples, number=chosen.seed)
    except AssertionError as error:
        sys.stdout.write(f"{error}\n")
        return ["pages"]
    sys.stdout.write(f"pages: {asked} answers\n")
    return []


def command(site: Site, name: str, chosen: argparse.Namespace) -> list[str]:
    """Return the command that asks as one caller."""
    headers = [f"--header={name}: {value}" for name, value in site.callers[name].items()]
    options = [f"--phases={chosen.phases}", f"--max-examples={chosen.examples}", f"--seed={chosen.seed}"]
    return [PROGRAM, f"--config-file={SETTINGS}", "run", f"{site.url}/openapi.json", *headers, *options]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
