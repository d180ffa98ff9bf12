"""The images of the cases: one ENTRYPOINT each, the project's files in the folder where MLflow builds them into."""

import io
import json
import secrets
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from worker.runners.seam import PROJECT_FOLDER

BASE = "python:3.11-slim"
PROJECT = Path(__file__).parent / "project"
SCRIPTS = {
    "exec.sh": '#!/bin/sh\\nexport CASE_BY=exec\\nexec "$@"\\n',
    "split.sh": "#!/bin/sh\\nexport CASE_BY=split\\nexec $*\\n",
    "ignore.sh": "#!/bin/sh\\necho something else\\n",
}
ENTRYPOINTS: dict[str, list[str]] = {
    "none": [],
    "sh": ["/bin/sh", "-c"],
    "bash": ["/bin/bash", "-c"],
    "login": ["/bin/bash", "-lc"],
    "script": ["/exec.sh"],
    "init": ["/exec.sh", "--"],
    "init and bash": ["/usr/bin/env", "/bin/bash", "-c"],
    "split": ["/split.sh"],
    "python": ["python"],
    "program": ["python", "show.py"],
    "ignore": ["/ignore.sh"],
}


@contextmanager
def built(engine: docker.DockerClient, names: set[str]) -> Iterator[dict[str, str]]:
    """Build them, by the names of their ENTRYPOINT; they are removed afterwards."""
    base = _build(engine, "base", f"FROM {BASE}\nRUN {_scripts()}\nCOPY project {PROJECT_FOLDER}\n")
    tags = {}
    try:
        for name in sorted(names):
            lines = f"FROM {base}\nWORKDIR {PROJECT_FOLDER}\nENTRYPOINT {json.dumps(ENTRYPOINTS[name])}\n"
            tags[name] = _build(engine, name.replace(" ", "-"), lines)
        yield tags
    finally:
        for tag in (*tags.values(), base):
            engine.images.remove(tag, force=True)


def remove_built(engine: docker.DockerClient, names: Iterable[str]) -> None:
    """Remove what MLflow has built, as far as it came to that."""
    for name in names:
        with suppress(ImageNotFound):
            engine.images.remove(name, force=True)


def _build(engine: docker.DockerClient, name: str, dockerfile: str) -> str:
    tag = f"parity-{name}:{secrets.token_hex(4)}"
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        tar.add(PROJECT, arcname="project")
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(dockerfile.encode())
        tar.addfile(member, io.BytesIO(dockerfile.encode()))
    context.seek(0)
    engine.images.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True)
    return tag


def _scripts() -> str:
    written = [f"printf '{text}' > /{name}" for name, text in SCRIPTS.items()]
    return " && ".join([*written, "chmod 755 /*.sh", "echo export CASE_LOGIN=yes > /etc/profile.d/case.sh"])
