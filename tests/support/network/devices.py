"""Network devices that tests make on this machine, on subnets that nothing here uses."""

import ipaddress
import json
import os
import random
import shutil
import subprocess
from typing import Any

from tests.support.engines import require

IP_SECONDS = 15
PRIVATE = ipaddress.ip_network("10.128.0.0/9")


def require_root(*programs: str) -> None:
    """Skip, or fail in CI, where such devices cannot be made."""
    require(os.geteuid() == 0, "root")
    for program in ("ip", *programs):
        require(shutil.which(program) is not None, f"the program {program}")


def ip(*arguments: str) -> str:
    """Run `ip` and return what it prints."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False, timeout=IP_SECONDS)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def remove_device(name: str) -> None:
    """Remove a device, if it is there."""
    subprocess.run(["ip", "link", "del", name], capture_output=True, check=False, timeout=IP_SECONDS)


def free_subnet() -> ipaddress.IPv4Network:
    """Return a /24 that no route of this machine overlaps; by chance, because others look at the same time."""
    routes: list[dict[str, Any]] = json.loads(ip("-json", "-4", "route", "show", "table", "all"))
    taken = [ipaddress.ip_network(each["dst"], strict=False) for each in routes if each["dst"] != "default"]
    while True:
        first = int(PRIVATE.network_address) + random.randrange(2**15) * 256  # noqa: S311 - no secret
        subnet = ipaddress.IPv4Network((first, 24))
        if not any(subnet.overlaps(each) for each in taken if isinstance(each, ipaddress.IPv4Network)):
            return subnet
