"""iptables as the firewall uses it: what stands there, what is put there, and what is taken away again."""

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
        """Run iptables or its companion; RuleRefused where it fails."""
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
        """Whether the rule (CHAIN and the rest) stands."""
        try:
            self.run("--wait", "--check", *rule)
        except RuleRefused:
            return False
        return True


def tables() -> Tables | None:
    """The packet filter that this user may change here, or None."""
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
    _standing: tuple[str, ...] = ()
    _plan: Plan | None = None

    def stands(self, plan: Plan) -> bool:
        """Whether every rule is as it was put."""
        return plan == self._plan and bool(self._standing) and self._standing == self._read(plan)

    def put(self, plan: Plan) -> None:
        """Put the chains in place, and then what leads to them first of all."""
        self._standing = ()
        self.tables.run("--wait", "--noflush", text=plan.text(), tool="-restore")
        for chain, jump in self._jumps(plan):
            if self.tables.has(chain, *jump):
                self.tables.run("--wait", "--delete", chain, *jump)
            self.tables.run("--wait", "--insert", chain, *jump)
        self._plan, self._standing = plan, self._read(plan)

    def remove(self, plan: Plan) -> None:
        """Take all of it away again."""
        for leading in ("DOCKER-USER", "FORWARD", "INPUT"):
            for chain in (plan.through, plan.to_host):
                jump = (leading, "-i", plan.bridge, "-j", chain)
                while self.tables.has(*jump):
                    self.tables.run("--wait", "--delete", *jump)
        for chain in (plan.through, plan.to_host):
            self.tables.run("--wait", "--flush", chain)
            self.tables.run("--wait", "--delete-chain", chain)

    def _jumps(self, plan: Plan) -> list[tuple[str, tuple[str, ...]]]:
        """Docker looks into DOCKER-USER before its own rules, and leaves it alone when it puts those anew."""
        through = "DOCKER-USER" if self.tables.has("FORWARD", "-j", "DOCKER-USER") else "FORWARD"
        from_bridge = ("-i", plan.bridge, "-j")
        return [(through, (*from_bridge, plan.through)), ("INPUT", (*from_bridge, plan.to_host))]

    def _read(self, plan: Plan) -> tuple[str, ...]:
        """All rules that are ours or lead to ours, and how Docker's own chain is led to."""
        words = {plan.through, plan.to_host}
        rules = self.tables.run("--wait", "--list-rules").splitlines()
        ours = [rule for rule in rules if words & set(rule.split())]
        return (*ours, *(rule for rule in rules if rule == "-A FORWARD -j DOCKER-USER"))


def is_filtered(switch: Path = BRIDGED_IS_FILTERED) -> bool:
    """Whether the kernel shows iptables what goes between two containers of one bridge; Docker turns that on."""
    try:
        return switch.read_text().strip() != "0"
    except OSError:
        return True  # not to be seen from here
