"""An OpenID Connect issuer on loopback: real keys, a discovery document, and tokens that it signs."""

import http.server
import json
import threading
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "retrain"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def rsa_key() -> rsa.RSAPrivateKey:
    """A new key, as RS256 has it."""
    return rsa.generate_private_key(65537, 2048)


class OidcIssuer:
    """Serves until closed; ``asked`` are the paths that were asked for."""

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKey] = {"first": rsa_key()}
        self.more_keys: list[Any] = []
        self.says: dict[str, Any] = {}  # instead of what it would say of itself
        self.status = 200
        self.asked: list[str] = []
        self.answering = threading.Event()
        self.answering.set()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/realms/ml"

    def close(self) -> None:
        """Stop serving."""
        self.answering.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def token(self, *, kid: str = "first", algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        """A token for our service that is valid for five minutes, but for what is said otherwise; None: without."""
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "exp": int(time.time()) + 300}
        said = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(said, key or self.keys[kid], algorithm, headers={"kid": kid})

    def public_keys(self) -> list[dict[str, Any]]:
        """Its keys, as it publishes them."""
        return [{**self._public(key), "kid": kid, "use": "sig"} for kid, key in self.keys.items()] + self.more_keys

    def _public(self, key: PrivateKey) -> dict[str, Any]:
        if isinstance(key, rsa.RSAPrivateKey):
            return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)

    def _answer(self, path: str) -> Any:
        if path.endswith("/.well-known/openid-configuration"):
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.says}
        return {"keys": self.public_keys()}

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                issuer.answering.wait(30)
                body = json.dumps(issuer._answer(self.path)).encode()
                self.send_response(issuer.status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Location", f"{issuer.url}/elsewhere")  # where its status sends somebody there
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
