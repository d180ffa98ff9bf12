"""Runs iptables for the firewall: reads the rules in place, adds its own, and removes them again."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.firewall.rules import Plan

COMMAND_SECONDS = 30
BRIDGED_IS_FILTERED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


class RuleRefused(Exception):
    """iptables did not take a rule; the message is what it said."""


@dataclass(frozen=True)
class Tables:
    """This host's packet filter. Debian's iptables speaks nftables; an old kernel has the other one only."""

    command: str = "iptables"

    def run(self, *words: str, text: str | None = None, tool: str = "") -> str:
        """Run iptables or a companion tool; raise RuleRefused if it fails."""
        try:
            done = subprocess.run(
                [self.command + tool, *words],
                input=text,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RuleRefused(str(error)) from error
        if done.returncode:
            raise RuleRefused(done.stderr.strip() or f"{self.command}{tool} ended with {done.returncode}")
        return done.stdout

    def has(self, *rule: str) -> bool:
        """Return whether the rule (CHAIN and the rest) is in place."""
        try:
            self.run("--wait", "--check", *rule)
        except RuleRefused:
            return False
        return True


def tables() -> Tables | None:
    """Return the packet filter that this user may change here, or None."""
    for command in ("iptables", "iptables-legacy"):
        try:
            Tables(command).run("--wait", "--list-rules", "INPUT")
        except RuleRefused:
            continue
        return Tables(command)
    return None


@dataclass
class Firewall:
    """The rules of one plan in this host's packet filter. ``put`` may be called again: it mends what is missing."""

    tables: Tables
    _in_place: tuple[str, ...] = ()
    _plan: Plan | None = None

    def stands(self, plan: Plan) -> bool:
        """Return whether every rule is still as it was put in place."""
        return plan == self._plan and bool(self._in_place) and self._in_place == self._read(plan)

    def put(self, plan: Plan) -> None:
        """Put the chains in place, and then the rules that lead to them, before all others."""
        self._in_place = ()
        self.tables.run("--wait", "--noflush", text=plan.text(), tool="-restore")
        for chain, jump in self._jumps(plan):
            if self.tables.has(chain, *jump):
                self.tables.run("--wait", "--delete", chain, *jump)
            self.tables.run("--wait", "--insert", chain, *jump)
        self._plan, self._in_place = plan, self._read(plan)

    def remove(self, plan: Plan) -> None:
        """Remove all of it again."""
        for leading in ("DOCKER-USER", "FORWARD", "INPUT"):
            for chain in (plan.through, plan.to_host):
                jump = (leading, "-i", plan.bridge, "-j", chain)
                while self.tables.has(*jump):
                    self.tables.run("--wait", "--delete", *jump)
        for chain in (plan.through, plan.to_host):
            self.tables.run("--wait", "--flush", chain)
            self.tables.run("--wait", "--delete-chain", chain)

    def _jumps(self, plan: Plan) -> list[tuple[str, tuple[str, ...]]]:
        """Return the rules that lead to ours; Docker uses DOCKER-USER before its own rules, and never rewrites it."""
        through = "DOCKER-USER" if self.tables.has("FORWARD", "-j", "DOCKER-USER") else "FORWARD"
        from_bridge = ("-i", plan.bridge, "-j")
        return [(through, (*from_bridge, plan.through)), ("INPUT", (*from_bridge, plan.to_host))]

    def _read(self, plan: Plan) -> tuple[str, ...]:
        """Return all rules that are ours or lead to ours, and the one that leads to Docker's own chain."""
        words = {plan.through, plan.to_host}
        rules = self.tables.run("--wait", "--list-rules").splitlines()
        ours = [rule for rule in rules if words & set(rule.split())]
        return (*ours, *(rule for rule in rules if rule == "-A FORWARD -j DOCKER-USER"))


def is_filtered(switch: Path = BRIDGED_IS_FILTERED) -> bool:
    """Return whether the kernel shows iptables the traffic between two containers of a bridge; Docker turns that on."""
    try:
        return switch.read_text().strip() != "0"
    except OSError:
        return True  # not visible from here
