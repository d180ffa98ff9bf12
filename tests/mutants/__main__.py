"""Run mutmut on the decisions, and compare what survives with tests/mutants/survivors.toml."""

import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

MUTMUT = str(Path(sys.executable).with_name("mutmut"))
EXPLAINED = Path(__file__).with_name("survivors.toml")
UNNOTICED = ("survived", "no tests")


def count(results: str) -> Counter[str]:
    """Count the mutants that no test noticed, by function, in what `mutmut results` prints."""
    lines = [line.strip().partition(": ") for line in results.splitlines() if "__mutmut_" in line]
    return Counter(name.partition("__mutmut_")[0] for name, _, verdict in lines if verdict in UNNOTICED)


def differences(survived: Counter[str], explained: Counter[str]) -> list[str]:
    """Return what is to be done: kill a new survivor or explain it, and forget one that is killed by now."""
    more = survived - explained
    fewer = explained - survived
    return [
        *(f"{name}: {number} more survive than {EXPLAINED.name} explains" for name, number in sorted(more.items())),
        *(f"{name}: {number} of those in {EXPLAINED.name} are killed by now" for name, number in sorted(fewer.items())),
    ]


def main() -> None:
    """Run, count, compare."""
    subprocess.run((MUTMUT, "run", "--max-children", "2"), check=True)
    results = subprocess.run((MUTMUT, "results"), capture_output=True, text=True, check=True).stdout
    known = tomllib.loads(EXPLAINED.read_text())["survivor"]
    found = differences(count(results), Counter({entry["function"]: entry["number"] for entry in known}))
    if found:
        sys.exit("\n".join((*found, f"See one with: {MUTMUT} show NAME, and all with: {MUTMUT} results")))
    sys.stdout.write("All other mutants are killed.\n")


if __name__ == "__main__":
    main()
