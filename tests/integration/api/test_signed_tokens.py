"""A signed token opens the API only if the issuer made it, now, for this service; keys are fetched as they rotate."""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient

from api.app import create_app
from api.http.errors import IssuerUnavailable, NotAuthenticated
from api.sign_on import issuer as issuers
from api.sign_on.issuer import FRESH_SECONDS, KEPT_SECONDS, LOOK_SECONDS, RETRY_SECONDS, Issuer
from api.sign_on.signed_tokens import SignedTokens
from shared.secrets.vault import Vault
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.support.clocks import HeldClock
from tests.support.network.oidc_issuer import AUDIENCE, OidcIssuer, rsa_key
from tests.support.network.ports import free_port
from tests.support.threads import at_once


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    served = OidcIssuer()
    yield served
    served.close()


def client_of(issuer: OidcIssuer, **given: Any) -> FlaskClient:
    usual = {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE, "api_tokens": "t", "auth_roles": "ml=submitter"}
    settings = Settings.load(_env_file=None, **{**usual, **given})
    vault = Vault(Fernet.generate_key())
    return create_app(settings, store=MemoryStore(), queue=RecordingQueue(), vault=vault).test_client()


@pytest.fixture
def client(issuer: OidcIssuer) -> FlaskClient:
    return client_of(issuer)


def whoami(client: FlaskClient, token: str) -> tuple[int, dict[str, Any]]:
    answer = client.get("/whoami", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json or {}


def test_a_person_is_who_the_token_says_with_the_roles_of_the_groups(issuer: OidcIssuer, client: FlaskClient) -> None:
    assert issuer.asked == []  # nothing is fetched before it is needed
    assert whoami(client, issuer.token(groups=["ml", "chess"])) == (
        200,
        {"name": "sso:ann", "kind": "oidc", "roles": ["submitter"], "team": None},
    )
    assert whoami(client, issuer.token(groups="chess"))[1]["roles"] == ["viewer"]
    assert whoami(client, issuer.token(aud=["other", AUDIENCE]))[0] == 200
    assert len(issuer.asked) == 2


@pytest.mark.parametrize(
    ("claims", "name", "role"),
    [
        ({"email": "ann@example.com", "realm_access": {"roles": ["ml"]}}, "sso:ann@example.com", "submitter"),
        ({"email": "ann@example.com", "realm_access": ["ml"]}, "sso:ann@example.com", "viewer"),
        ({"email": "ann@example.com", "realm_access.roles": "ml"}, "sso:ann@example.com", "submitter"),
    ],
)
def test_name_and_groups_come_from_the_claims_of_the_settings(
    issuer: OidcIssuer, claims: dict[str, Any], name: str, role: str
) -> None:
    client = client_of(issuer, oidc_name_claim="email", oidc_groups_claim="realm_access.roles")
    said = whoami(client, issuer.token(**claims))[1]
    assert (said["name"], said["roles"]) == (name, [role])


NOW = int(time.time())


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW - 3600},
        {"exp": None},
        {"nbf": NOW + 3600},
        {"iat": NOW + 3600},
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"iss": "http://127.0.0.1:1/realms/ml"},
        {"iss": None},
        {"sub": None},
        {"sub": "ann\nroot"},
        {"sub": ""},
    ],
    # Not by their values: workers that read this in different seconds would not find the same tests.
    ids=lambda claims: f"{next(iter(claims))} is {'in vain' if None in claims.values() else 'another'}",
)
def test_what_the_issuer_did_not_say_to_us_and_now_opens_nothing(
    issuer: OidcIssuer, client: FlaskClient, claims: dict[str, Any]
) -> None:
    status, problem = whoami(client, issuer.token(**claims))
    assert (status, problem["code"]) == (401, "UNAUTHORIZED")


def _encoded(part: Any) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def _forged(issuer: OidcIssuer, header: dict[str, Any], key: Any = None) -> str:
    """A token with these words in its header, signed with a secret that is the issuer's public key."""
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "root", "exp": NOW + 300}
    signing = f"{_encoded({'typ': 'JWT', 'kid': 'first', **header})}.{_encoded(claims)}"
    hmac = jwt.get_algorithm_by_name("HS256")
    return f"{signing}.{_encoded(hmac.sign(signing.encode(), key)) if key else ''}"


def test_a_token_without_a_signature_opens_nothing(issuer: OidcIssuer, client: FlaskClient) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        assert whoami(client, _forged(issuer, {"alg": algorithm}))[0] == 401
    body, _, _ = issuer.token().rpartition(".")
    assert whoami(client, f"{body}.")[0] == 401


def test_the_public_key_is_no_secret_to_sign_with(issuer: OidcIssuer, client: FlaskClient) -> None:
    public = issuer.keys["first"].public_key()
    for encoding, form in (
        (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.PEM, PublicFormat.PKCS1),
    ):
        key = public.public_bytes(encoding, form)
        for algorithm in ("HS256", "RS256"):
            assert whoami(client, _forged(issuer, {"alg": algorithm}, key))[0] == 401


def test_a_key_that_both_sides_would_know_does_not_count(issuer: OidcIssuer, client: FlaskClient) -> None:
    secret = b"s" * 32
    issuer.more_keys = [{"kty": "oct", "k": _encoded(secret), "kid": "shared", "alg": "HS256"}, {"kid": 7}, None]
    forged = issuer.token(kid="shared", algorithm="HS256", key=secret)
    assert whoami(client, forged)[0] == 401
    assert whoami(client, issuer.token())[0] == 200


def test_another_key_of_the_same_name_opens_nothing(issuer: OidcIssuer, client: FlaskClient) -> None:
    assert whoami(client, issuer.token(key=rsa_key()))[0] == 401
    own = {"alg": "RS256", "jwk": issuer.public_keys()[0], "jku": "http://127.0.0.1:1/keys"}
    assert whoami(client, jwt.encode({"sub": "root"}, rsa_key(), "RS256", headers={**own, "kid": "mine"}))[0] == 401


def test_other_algorithms_of_public_keys_open_too(issuer: OidcIssuer, client: FlaskClient) -> None:
    issuer.keys["curve"] = ec.generate_private_key(ec.SECP256R1())
    assert whoami(client, issuer.token(kid="curve", algorithm="ES256"))[0] == 200


@pytest.mark.parametrize(
    "token",
    [
        "eyJ.eyJ.",
        "eyJhbGciOiJSUzI1NiJ9.e30.AAAA",
        f"eyJ{'A' * 8000}.e30.A",
        f"{_encoded(b'{' + b' ' * 3)}.e30.A",
        _encoded(b'{"a":' + b"[" * 5000) + ".e30.A",
        f"{_encoded({'alg': 'RS256', 'kid': ['first']})}.e30.A",
        f"{_encoded({'alg': ['RS256'], 'kid': 'first'})}.e30.A",
        f"{_encoded({'alg': 'RS256', 'kid': 'first', 'crit': ['b64'], 'b64': False})}.e30.A",
    ],
    ids=range(8),
)
def test_half_a_token_is_refused_and_breaks_nothing(client: FlaskClient, token: str) -> None:
    assert whoami(client, token)[0] == 401


def test_with_a_new_key_the_issuer_is_asked_again_and_the_old_one_ends(issuer: OidcIssuer) -> None:
    clock = HeldClock()
    keys = Issuer(issuer.url, clock.monotonic)
    keys.key("first")
    issuer.keys = {"second": rsa_key()}
    clock.pass_seconds(LOOK_SECONDS)
    assert keys.key("second").key_id == "second"
    with pytest.raises(NotAuthenticated):
        keys.key("first")


def test_a_withdrawn_key_ends_without_a_new_one(issuer: OidcIssuer) -> None:
    clock = HeldClock()
    keys = Issuer(issuer.url, clock.monotonic)
    keys.key("first")
    issuer.keys = {"second": rsa_key()}
    clock.pass_seconds(FRESH_SECONDS + 1)
    with pytest.raises(NotAuthenticated):
        keys.key("first")


def test_unknown_keys_make_the_issuer_be_asked_once_a_minute(issuer: OidcIssuer) -> None:
    clock = HeldClock()
    keys = Issuer(issuer.url, clock.monotonic)
    keys.key("first")
    for number in range(100):
        with pytest.raises(NotAuthenticated):
            keys.key(f"made-up-{number}")
    assert len(issuer.asked) == 2
    clock.pass_seconds(LOOK_SECONDS)
    for number in range(100):
        with pytest.raises(NotAuthenticated):
            keys.key(f"made-up-{number}")
    assert len(issuer.asked) == 4


def test_keys_outlive_the_issuer_for_an_hour(issuer: OidcIssuer) -> None:
    clock = HeldClock()
    keys = Issuer(issuer.url, clock.monotonic)
    keys.key("first")
    issuer.status = 503
    clock.pass_seconds(KEPT_SECONDS)
    assert keys.key("first").key_id == "first"
    clock.pass_seconds(1)
    with pytest.raises(IssuerUnavailable):
        keys.key("first")
    issuer.status = 200
    clock.pass_seconds(RETRY_SECONDS)
    assert keys.key("first").key_id == "first"


def test_while_the_issuer_is_away_other_tokens_go_on(issuer: OidcIssuer) -> None:
    token = issuer.token()
    away = client_of(issuer, oidc_issuer=f"http://127.0.0.1:{free_port()}/realms/ml")
    answer = away.get("/whoami", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, (answer.json or {})["code"]) == (503, "ISSUER_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "10"
    assert whoami(away, "t")[0] == 200


def test_an_issuer_that_hangs_holds_few_threads(issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuers, "TIMEOUT_SECONDS", (1, 1))
    keys = Issuer(issuer.url)
    issuer.answering.clear()

    def seconds(_: int) -> float:
        before = time.monotonic()
        with pytest.raises(IssuerUnavailable):
            keys.key("first")
        return time.monotonic() - before

    waited = at_once(24, seconds)
    assert len([each for each in waited if each > 0.5]) <= 8
    assert max(waited) < 5
    assert len(issuer.asked) == 1


@pytest.mark.parametrize(
    "says",
    [
        {"issuer": "https://elsewhere.example"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"padding": "x" * issuers.MOST_BYTES},
    ],
    ids=["another", "file", "none", "large"],
)
def test_an_issuer_that_says_strange_things_is_away(issuer: OidcIssuer, says: dict[str, Any]) -> None:
    issuer.says = says
    with pytest.raises(IssuerUnavailable):
        Issuer(issuer.url).key("first")


def test_a_redirect_of_the_issuer_is_not_followed(issuer: OidcIssuer) -> None:
    issuer.status = 302
    with pytest.raises(IssuerUnavailable):
        Issuer(issuer.url).key("first")
    assert len(issuer.asked) == 1


def test_a_token_says_nothing_where_no_issuer_is_set_up(issuer: OidcIssuer) -> None:
    settings = Settings.load(_env_file=None, oidc_issuer=issuer.url, oidc_audience=AUDIENCE)
    signed = SignedTokens.of(settings)
    assert signed is not None
    assert signed.caller(issuer.token()).name == "sso:ann"
    with pytest.raises(NotAuthenticated):
        replace(signed, audience="another").caller(issuer.token())
    assert whoami(client_of(issuer, oidc_issuer=""), issuer.token())[0] == 401
    assert not [each for each in issuer.asked[2:] if each]
