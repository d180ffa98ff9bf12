"""A real nginx on a port of this machine, with a configuration of the documentation's."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.support.engines import require
from tests.support.network.ports import free_port
from tests.support.waiting import wait_until

STOP_SECONDS = 10
WHERE = "/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin"  # a user's PATH has no sbin
MAIN = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    {paths}
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 404; }}
        {locations}
    }}
}}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def running_nginx(folder: Path, locations: str) -> Iterator[str]:
    """Give the address of an nginx that serves these locations."""
    program = shutil.which("nginx", path=WHERE)
    require(program is not None, "nginx")
    port = free_port()
    paths = "".join(f"{name}_temp_path {folder}/{name}; " for name in TEMPORARY)
    configuration = folder / "nginx.conf"
    user = "" if os.geteuid() else "user root;"  # or its children could not use the folder
    configuration.write_text(MAIN.format(user=user, folder=folder, port=port, paths=paths, locations=locations))
    process = subprocess.Popen([str(program), "-p", str(folder), "-c", str(configuration), "-e", f"{folder}/error.log"])
    try:
        wait_until(lambda: _answers(process, port), what="nginx's answer")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None
    try:
        return requests.get(f"http://127.0.0.1:{port}/nothing", timeout=5).status_code == 404
    except requests.ConnectionError:
        return False
