"""Images of a few files, made in memory: of any platform, and without what a base image would bring."""

import hashlib
import io
import json
import secrets
import tarfile
from collections.abc import Mapping
from typing import Any

import docker

# The head of a program for another kind of processor, aarch64: no more is read before it is refused.
FOREIGN_PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00\x01\x00\x00\x00" + bytes(100)


def make_image(
    engine: docker.DockerClient, files: Mapping[str, bytes], *, architecture: str | None = None, **config: Any
) -> str:
    """Load an image that has these files, all of them programs; return its name."""
    layer, name = _tar(files), f"test-{secrets.token_hex(4)}:1"
    about = {
        "architecture": architecture or engine.version()["Arch"],
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    parts = {"config.json": json.dumps(about).encode(), "manifest.json": json.dumps(manifest).encode()}
    engine.images.load(_tar(parts | {"layer.tar": layer}))
    return name


def _tar(files: Mapping[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()
