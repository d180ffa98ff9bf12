"""`make parity`: write the table, and fail where it differs from what the cases tell. ARGS choose cases by name."""

import sys
import tempfile
from contextlib import closing
from pathlib import Path

import docker

from tests.parity.case import load_cases
from tests.parity.table import TABLE, as_markdown, compare


def main(words: list[str]) -> int:
    cases = [case for case in load_cases() if all(word in case.name for word in words)]
    with tempfile.TemporaryDirectory() as folder, closing(docker.from_env()) as engine:
        rows = compare(cases, Path(folder), engine)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(as_markdown(rows))
    sys.stdout.write(TABLE.read_text())
    return sum(not row.is_as_told for row in rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
