"""Holds git addresses to what the operator allows, and away from this service's own folders."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from shared.errors import Code, UserError
from shared.git_uri import AllowedAddresses, GitUri


@dataclass(frozen=True)
class AddressRules:
    """Which addresses may be asked. ``private`` holds other users' sources: no file address leads into it."""

    allowed: AllowedAddresses
    private: tuple[Path, ...] = ()

    def check(self, address: GitUri, *, what: str, code: Code) -> None:
        """Raise UserError unless the address may be asked."""
        facts = {"uri": address.uri, "scheme": address.scheme, "host": address.host}
        if refusal := self.allowed.refusal(address, what=what):
            raise UserError(code, refusal.message, setting=refusal.setting, **facts)
        if address.scheme == "file" and self._is_private(address.uri.removeprefix("file://")):
            message = f"{what} leads into this service's own data folder, which holds other projects' sources."
            raise UserError(code, f"{message} Name the repository itself.", **facts)

    def _is_private(self, path: str) -> bool:
        """Look where both forms lead: git decodes %2F and its like."""
        real = [Path(form).resolve() for form in (path, unquote(path))]
        return any(form.is_relative_to(folder.resolve()) for form in real for folder in self.private)
