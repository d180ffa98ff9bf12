"""Parses what a client asks of an HTTP proxy: where to connect, and what to send to that host first."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

HOP_BY_HOP = re.compile(r"(proxy-[a-z-]*|connection|keep-alive)\s*:", re.IGNORECASE)


@dataclass(frozen=True)
class ProxyRequest:
    """A request's head. Through a tunnel the client talks to the host itself; any other request is sent as ``head``."""

    host: str
    port: int
    authorization: str
    is_tunnel: bool
    head: bytes = b""

    @classmethod
    def parse(cls, head: bytes) -> Self:
        """Parse a head without its last empty line; raise ValueError if it is not a proxy request."""
        first, *headers = head.decode("latin-1").split("\r\n")
        method, target, _version = first.split(" ")
        fields = dict(line.split(":", 1) for line in headers)
        authorization = next((v.strip() for k, v in fields.items() if k.lower() == "proxy-authorization"), "")
        is_tunnel = method == "CONNECT"
        address = urlsplit(f"//{target}" if is_tunnel else target)
        if not address.hostname or (not is_tunnel and address.scheme != "http"):
            raise ValueError("names no host")
        if is_tunnel:
            return cls(address.hostname, address.port or 443, authorization, is_tunnel)
        # One request per connection: the next one may be for another host, which would go unchecked.
        kept = [line for line in headers if not HOP_BY_HOP.match(line)]
        path = f"{address.path or '/'}?{address.query}".removesuffix("?")
        lines = [f"{method} {path} HTTP/1.1", *kept, "Connection: close", "", ""]
        return cls(address.hostname, address.port or 80, authorization, is_tunnel, "\r\n".join(lines).encode("latin-1"))
