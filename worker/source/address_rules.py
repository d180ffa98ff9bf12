"""Decides which git addresses may be fetched: what the operator allows, and never this service's own folders."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote

from shared.addresses.git_uri import AddressRefusal, AllowedAddresses, GitUri
from shared.errors import Code, UserError
from worker.source.way_out.door import look_up

SSH_PORT = 22


@dataclass(frozen=True)
class AddressRules:
    """Which addresses may be fetched. ``private`` contains other users' sources: no file address may lead into it."""

    allowed: AllowedAddresses
    private: tuple[Path, ...] = ()

    def check(self, address: GitUri, *, what: str, code: Code) -> None:
        """Raise UserError unless the address may be fetched. The door checks which host a web address leads to."""
        facts = {"uri": address.uri, "scheme": address.scheme, "host": address.host}
        if refusal := self.allowed.refusal(address, what=what) or self._refusal_by_name(address, what=what):
            raise UserError(code, refusal.message, setting=refusal.setting, **facts)
        if address.scheme == "file" and self._is_private(address.uri.removeprefix("file://")):
            message = f"{what} leads into this service's own data folder, which contains other projects' sources."
            raise UserError(code, f"{message} Name the repository itself.", **facts)

    def _refusal_by_name(self, address: GitUri, *, what: str) -> AddressRefusal | None:
        """Look up where ssh would go; an unknown name may be an alias in the worker's own ssh configuration."""
        if address.scheme != "ssh" or self.allowed.names(address.host):
            return None
        try:
            found = [ip_address(each) for each in look_up(address.host, SSH_PORT)]
        except OSError:
            return None
        refusals = (self.allowed.refusal_of_address(each, host=address.host, what=what) for each in found)
        return next(filter(None, refusals), None)

    def _is_private(self, path: str) -> bool:
        """Check where both forms lead: git decodes %2F and the like."""
        real = [Path(form).resolve() for form in (path, unquote(path))]
        return any(form.is_relative_to(folder.resolve()) for form in real for folder in self.private)
