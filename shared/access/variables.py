"""The settings about callers: how much one may take, and what may be asked."""

from pydantic import Field

from shared.environment_settings import EnvironmentSettings


class CallerVariables(EnvironmentSettings):
    """Each field is one environment variable of the same name in capitals."""

    caller_requests_per_second: float = Field(
        50, ge=0, le=10_000, description="Requests that a caller may send a second, in the long run; 0 for no limit."
    )
    caller_burst_seconds: int = Field(
        20, ge=1, le=3600, description="For how many seconds' requests a caller may send at once, after a pause."
    )
    api_followers_per_caller: int = Field(
        50, ge=1, le=1000, description="Log followers of one caller, from all addresses."
    )
