"""Keeps trainings away from each other, from this host, from private networks and from the cloud's metadata address.

Docker keeps its networks apart, but a published port is the host's (docker-proxy listens for it), and the host is every
bridge's gateway; and what the host's own network reaches, containers reach, too. The rules are for one bridge, that of
the training network, and stand in chains of their own. As long as they do, a file is kept fresh that the worker looks
at. Uses the standard library only: its image has nothing else.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

from deploy.firewall.iptables import BRIDGED_IS_FILTERED, Firewall, RuleRefused, is_filtered, tables
from deploy.firewall.rules import Plan, plan_of

LOOK_SECONDS = 2
FRESH_SECONDS = 20
PORTS = Path("/sys/class/net")
LEAVE_SECONDS = 2

logger = logging.getLogger("deploy.firewall")


def keep(firewall: Firewall, plan: Callable[[], Plan], state: Path, stopping: Event) -> None:
    """Keep the rules in place until the process is told to stop; keep ``state`` fresh while they are."""
    said = ""
    while not stopping.is_set():
        try:
            said = _look(firewall, plan(), state, said)
        except (RuleRefused, ValueError) as error:
            state.unlink(missing_ok=True)
            if str(error) != said:
                logger.error("the rules do not stand, so no training starts here: %s", error)
            said = str(error)
        stopping.wait(LOOK_SECONDS)


def _look(firewall: Firewall, plan: Plan, state: Path, said: str) -> str:
    if not firewall.stands(plan):
        firewall.put(plan)
        logger.warning("rules put in place for %s", plan.bridge)
    if not is_filtered():
        raise RuleRefused(f"{BRIDGED_IS_FILTERED} is 0, and trainings reach each other. Set it to 1.")
    state.touch()
    return ""


def is_fresh(state: Path) -> bool:
    """Return whether the rules stood a moment ago."""
    try:
        return abs(time.time() - state.stat().st_mtime) < FRESH_SECONDS
    except OSError:
        return False


def is_in_use(bridge: str, devices: Path = PORTS) -> bool:
    """Return whether a container is on the bridge."""
    try:
        return any((devices / bridge / "brif").iterdir())
    except OSError:
        return False


def leave(firewall: Firewall, plan: Plan) -> None:
    """Take the rules away when nobody is left on the bridge; training that goes on keeps them."""
    until = time.monotonic() + LEAVE_SECONDS
    while is_in_use(plan.bridge) and time.monotonic() < until:
        time.sleep(LEAVE_SECONDS / 20)
    if is_in_use(plan.bridge):
        logger.info("the rules stay, because containers are on %s", plan.bridge)
        return
    firewall.remove(plan)


def main(arguments: Sequence[str]) -> int:
    """Keep the rules, or with --check say by the exit code whether they stand."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    state = Path(os.environ["TRAINING_FIREWALL_FILE"])
    if "--check" in arguments:
        return 0 if is_fresh(state) else 1
    found = tables()
    if found is None:
        logger.error("iptables does not work here: it needs root, or NET_ADMIN and NET_RAW on the host's network")
        return 1
    stopping, firewall = Event(), Firewall(found)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    keep(firewall, lambda: plan_of(os.environ), state, stopping)
    state.unlink(missing_ok=True)
    try:
        leave(firewall, plan_of(os.environ))
    except (RuleRefused, ValueError) as error:
        logger.warning("the rules stay: %s", error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
