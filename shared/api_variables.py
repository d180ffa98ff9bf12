"""The settings of the API: where it listens and is reached, whom it serves, and what requests get by default."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from shared.caller_variables import CallerVariables
from shared.requests.parts import MOST_GPUS
from shared.setting_types import ListenAddress, Networks, PublicAddress, split_words


class ApiVariables(CallerVariables):
    """Each field is one environment variable of the same name in capitals; of secrets also a file, by NAME_FILE."""

    api_host: ListenAddress = Field("127.0.0.1", description="Address that the API listens on.")
    api_port: int = Field(5005, ge=1, le=65535, description="Port that the API listens on.")
    api_public_url: PublicAddress = Field(
        "",
        description="The API's address for people, for links in alerts; empty for no links. Its path, if it has one, "
        "is put before all paths in answers.",
    )
    api_trusted_proxies: Networks = Field(
        frozenset(),
        description="Addresses and networks of proxies whose X-Forwarded-For, -Proto, -Host and -Prefix count, comma "
        "separated; empty for none.",
        examples=["127.0.0.1,10.1.2.0/24"],
    )
    api_threads: int = Field(32, ge=4, le=512, description="Requests that the API answers at the same time.")
    api_followers: int = Field(100, ge=1, le=1000, description="Log followers at the same time.")
    api_followers_per_peer: int = Field(
        50, ge=1, le=1000, description="Log followers from one address; a proxy is one address for all of its users."
    )
    api_tabs: int = Field(
        100,
        ge=1,
        le=1000,
        description="Open pages that are told of changes as they happen, at most half of them one caller's; others ask "
        "every few seconds.",
    )
    api_connections: int = Field(
        600,
        ge=10,
        le=10_000,
        description="Open connections; above this, the one that has been silent longest is closed.",
    )
    api_connections_per_peer: int = Field(
        200, ge=5, le=10_000, description="Open connections from one address; above this, likewise."
    )
    api_tokens: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(split_words)] = Field(
        (), description="Bearer tokens, comma separated. Without any, the API serves only this machine."
    )
    metrics_tokens: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(split_words)] = Field(
        (), description="Tokens that may read /metrics and nothing else, even if API_TOKENS has them too."
    )
    ui_session_hours: float = Field(
        12, gt=0, le=24 * 365, description="How long a person who showed a token stays signed in at /ui/."
    )
    teams_isolated: bool = Field(
        False, description="Whether callers of a team see only what belongs to it: jobs, logs, triggers and models."
    )
    triggers_dir: Path | None = Field(
        None,
        description="Folder of YAML files with a trigger each, which the API keeps triggers to; empty for none.",
        examples=["/etc/retrain/triggers"],
    )
    security_contact: str = Field(
        "",
        pattern=r"^((mailto:|https://)[!-~]{3,200})?$",
        description="Where people report a vulnerability of this installation (mailto:… or https://…), which "
        "/.well-known/security.txt tells; empty for no such page.",
        examples=["mailto:security@example.com"],
    )
    default_gpus: int = Field(
        0,
        ge=0,
        le=MOST_GPUS,
        description="GPUs of a job whose request does not say; 1 to train on a GPU as the predecessor always did.",
    )

    @model_validator(mode="after")
    def _sign_on_is_whole(self) -> Self:
        """Refuse half of a sign-on: a header that nobody may send, or tokens that are made for any service."""
        if self.auth_header and not self.api_trusted_proxies:
            raise ValueError("AUTH_HEADER needs API_TRUSTED_PROXIES: it is believed only from addresses that are there")
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError(
                "OIDC_ISSUER needs OIDC_AUDIENCE: the issuer's tokens for other services open nothing here"
            )
        return self
