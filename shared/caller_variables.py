"""The settings about callers: how much one may take, and what may be asked."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from shared.access.sign_on import SignOnVariables
from shared.requests.texts import Word
from shared.setting_types import Words, split_words


class CallerVariables(SignOnVariables):
    """Each field is one environment variable of the same name in capitals."""

    caller_requests_per_second: float = Field(
        50, ge=0, le=10_000, description="Requests that a caller may send a second, in the long run; 0 for no limit."
    )
    caller_burst_seconds: int = Field(
        20, ge=1, le=3600, description="For how many seconds' requests a caller may send at once, after a pause."
    )
    caller_jobs_queued: int = Field(
        10_000, ge=0, le=10_000_000, description="Jobs that wait at the same time for one caller; 0 for no limit."
    )
    audit_log: str = Field(
        "",
        description="File for the audit as lines of JSON, written by the API and the workers of this machine, or "
        "stdout; empty for none.",
        examples=["/var/log/retrain/audit.jsonl"],
    )
    api_followers_per_caller: int = Field(
        50, ge=1, le=1000, description="Log followers of one caller, from all addresses."
    )
    queues: Annotated[frozenset[Word], NoDecode, BeforeValidator(split_words)] = Field(
        frozenset(),
        description="Queues that requests may name, comma separated; empty for default, those that workers serve, and "
        "twenty others at a time.",
        examples=["default,gpu"],
    )
    image_allowlist: Words = Field(
        frozenset(),
        description="Images that projects may name, as patterns, comma separated; empty for any.",
        examples=["registry.example.com/ml/*,python:3.12"],
    )
    policy_file: Path | None = Field(
        None,
        description="TOML file that says by team and role what may be asked; the same one for the API and all "
        "workers. Empty for no such rules.",
        examples=["/etc/retrain/policy.toml"],
    )
