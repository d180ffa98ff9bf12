"""Which addresses a container gets a TCP connection to."""

import json
from collections.abc import Iterable
from typing import Any

REACHED = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def reaches(target):
    try:
        socket.create_connection(target, timeout=2).close()
    except OSError:
        return False
    return True
targets = [tuple(each) for each in json.loads(sys.argv[1])]
with ThreadPoolExecutor(64) as pool:
    print(json.dumps([each for each, yes in zip(targets, pool.map(reaches, targets)) if yes]))
"""
Target = tuple[str, int]


def reached(container: Any, targets: Iterable[Target]) -> list[Target]:
    """Return those of the targets that a container with Python reaches."""
    code, said = container.exec_run(["python3", "-c", REACHED, json.dumps(list(targets))])
    assert code == 0, said.decode()
    return [(host, port) for host, port in json.loads(said)]
