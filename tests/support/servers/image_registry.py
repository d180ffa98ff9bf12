"""A registry on loopback with one image, for pulls; it can also keep silent. Docker trusts loopback without TLS."""

import base64
import gzip
import hashlib
import http.server
import io
import json
import secrets
import tarfile
import threading
from typing import Any

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class ImageRegistry:
    """Serves ``name``, an image without anything in it that runs, until closed; to ``login`` alone if it is given.

    One that ``is_stuck`` sends half of a layer, which no other one has; then ``is_asked`` is set.
    """

    def __init__(self, *, is_silent: bool = False, is_stuck: bool = False, login: str = "") -> None:
        self.is_asked, self._is_stuck = threading.Event(), is_stuck
        self.login = base64.b64encode(login.encode()).decode()
        self._goes_on = threading.Event()
        # An engine goes on with a layer that somebody has begun, whoever asks for it next.
        self._manifest, self._blobs = _image(secrets.token_hex() if is_stuck else "marker")
        self._layer = self._blobs[json.loads(self._manifest)["layers"][0]["digest"]]
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler(is_silent=is_silent))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.name = f"127.0.0.1:{self._server.server_port}/team/trainer:1"
        self.digest = _digest(self._manifest)

    def close(self) -> None:
        """Stop serving."""
        self._goes_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _handler(self, *, is_silent: bool) -> type[http.server.BaseHTTPRequestHandler]:
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if is_silent:
                    registry._goes_on.wait(60)
                    return
                if registry.login and self.headers.get("Authorization") != f"Basic {registry.login}":
                    self._refuse()
                    return
                content, content_type = registry._answer(self.path)
                self.send_response(200 if content else 404)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Docker-Content-Digest", _digest(content))
                self.end_headers()
                if self.command == "GET" and registry._is_stuck and content == registry._layer:
                    self._send_half(content)
                elif self.command == "GET":
                    self.wfile.write(content)

            def _send_half(self, content: bytes) -> None:
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                registry._goes_on.wait(1)  # until the engine has told all that it will tell
                registry.is_asked.set()
                registry._goes_on.wait(60)

            def _refuse(self) -> None:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="team"')
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_HEAD = do_GET  # noqa: N815 - the base class's name

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                pass

        return Handler

    def _answer(self, path: str) -> tuple[bytes, str]:
        if path == "/v2/":
            return b"{}", "application/json"
        if "/team/trainer/manifests/" in path and path.rpartition("/")[2] in ("1", self.digest):
            return self._manifest, MANIFEST_TYPE
        return self._blobs.get(path.rpartition("/")[2], b""), "application/octet-stream"


def _image(marker: str) -> tuple[bytes, dict[str, bytes]]:
    tree = io.BytesIO()
    with tarfile.open(fileobj=tree, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(marker))
    layer = gzip.compress(tree.getvalue(), mtime=0)
    rootfs = {"type": "layers", "diff_ids": [_digest(tree.getvalue())]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "size": len(config), "digest": _digest(config)},
        "layers": [{"mediaType": LAYER_TYPE, "size": len(layer), "digest": _digest(layer)}],
    }
    return json.dumps(manifest).encode(), {_digest(config): config, _digest(layer): layer}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
