"""A mail server on loopback, by TLS, which refuses what real ones do: strangers, odd lines, what is not encrypted."""

import base64
import ipaddress
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.alerting.discord import Trouble

USER, PASSWORD = "robot", "hunter2-mail"
DOMAIN = "@example.com"  # it takes mail for nobody else
MOST_LINE_BYTES, MOST_BYTES = 998, 100_000  # RFC 5322, and what this server takes
ONCE = ("Subject", "From", "To", "Date", "Message-ID")
SIMPLE = {"RSET": "250 ok", "NOOP": "250 ok", "QUIT": "221 bye"}
TIMEOUT_SECONDS = 5


class SmtpServer:
    """Serves until closed; ``messages`` are those that it took. ``is_implicit``: TLS from the first byte."""

    def __init__(self, folder: Path, *, is_implicit: bool = False, offers_tls: bool = True) -> None:
        self.trouble, self.is_gone = Trouble.NONE, False
        self.messages: list[EmailMessage] = []
        self.refused: list[str] = []
        self.is_implicit, self.offers_tls = is_implicit, offers_tls
        self.ca_file = folder / "mail.crt"
        self.context = _context(folder / "mail.key", self.ca_file)
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._is_closed = False

    def close(self) -> None:
        """Stop serving."""
        if not self._is_closed:
            self._is_closed = True
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(10)

    def judge(self, data: bytes) -> str:
        """Answer to a message."""
        if problems := problems_of(data):
            self.refused += problems
            return f"554 5.6.0 {problems[0]}"
        parsed = message_from_bytes(data, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.messages.append(parsed)
        return "250 2.0.0 queued"


def problems_of(data: bytes) -> list[str]:
    """What a mail server would not take of a message."""
    lines = data.split(b"\r\n")
    found = ["a bare CR or LF"] if any(b"\r" in line or b"\n" in line for line in lines) else []
    found += ["a line is too long"] if any(len(line) > MOST_LINE_BYTES for line in lines) else []
    found += ["8 bits"] if any(byte > 127 for byte in data) else []
    found += ["a control character"] if any(byte < 32 and byte not in b"\r\n\t" for byte in data) else []
    found += ["too large"] if len(data) > MOST_BYTES else []
    headers = message_from_bytes(data, policy=policy.compat32)
    found += [f"{name} {len(headers.get_all(name, []))} times" for name in ONCE if len(headers.get_all(name, [])) != 1]
    return found + [f"{name} is there" for name in ("Bcc", "Cc") if name in headers]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True

    def __init__(self, address: tuple[str, int], smtp: SmtpServer) -> None:
        super().__init__(address, _Session)
        self.smtp = smtp

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


class _Session(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        smtp, self._is_known = self.server.smtp, False
        self.request.settimeout(TIMEOUT_SECONDS)
        self._open(smtp.context if smtp.is_implicit else None)
        if smtp.trouble is Trouble.BROKEN:
            self._say("421 4.3.2 out of order")
            return
        self._say("220 mail.example.com ESMTP")
        for command, argument in self._commands():
            self._answer(smtp, command, argument)
            if command == "QUIT" or (command == "DATA" and smtp.trouble is Trouble.CUT):
                return

    def finish(self) -> None:
        self._file.close()
        self._socket.close()

    def _open(self, context: ssl.SSLContext | None) -> None:
        self._is_secret = context is not None
        self._socket: socket.socket = context.wrap_socket(self.request, server_side=True) if context else self.request
        self._file = self._socket.makefile("rb")

    def _commands(self) -> Iterator[tuple[str, str]]:
        while line := self._file.readline(2000):
            command, _, argument = line.decode("ascii").rstrip("\r\n").partition(" ")
            yield command.upper(), argument

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._socket.sendall(f"{line}\r\n".encode())

    def _answer(self, smtp: SmtpServer, command: str, argument: str) -> None:
        match command:
            case "EHLO":
                offer = "AUTH PLAIN" if self._is_secret else "STARTTLS" if smtp.offers_tls else "HELP"
                self._say("250-mail.example.com", f"250 {offer}")
            case "STARTTLS":
                self._say("220 go ahead")
                self._file.close()
                self._open(smtp.context)
            case "AUTH":
                self._log_in(smtp, argument.removeprefix("PLAIN "))
            case "MAIL" | "RCPT" | "DATA" if not (self._is_secret and self._is_known):
                self._say("530 5.7.0 log in first, encrypted")
            case "MAIL" if smtp.trouble is Trouble.TOO_MANY:
                self._say("451 4.7.1 too much mail")
            case "MAIL" | "RCPT":
                is_own = argument.partition("<")[2].partition(">")[0].endswith(DOMAIN)
                self._say("250 2.1.0 ok" if is_own else "550 5.1.1 nobody of that name")
            case "DATA":
                if smtp.trouble is not Trouble.CUT:
                    self._say("354 go ahead")
                    self._say(smtp.judge(self._data()))
            case _:
                self._say(SIMPLE.get(command, "502 5.5.2 unknown command"))

    def _log_in(self, smtp: SmtpServer, pair: str) -> None:
        is_right = base64.b64decode(pair).decode() == f"\0{USER}\0{PASSWORD}"
        self._is_known = is_right and not smtp.is_gone
        self._say("235 2.7.0 welcome" if self._is_known else f"535 5.7.8 {USER} is not known with {PASSWORD}")

    def _data(self) -> bytes:
        lines = []
        while (line := self._file.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)


def _context(key_file: Path, certificate_file: Path) -> ssl.SSLContext:
    """A certificate of its own for 127.0.0.1, good for a day."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.com")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = made.add_extension(loopback, critical=False).sign(key, hashes.SHA256())
    certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    return context
