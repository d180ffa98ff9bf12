"""The bodies of requests about triggers. What a trigger may be is said in shared.triggers.fields."""

from typing import Annotated

from pydantic import Field, StrictStr

from api.http.models import RequestBody
from shared.requests.retrain_request import RetrainRequest
from shared.requests.texts import Text, Word
from shared.triggers.fields import Policy, When

Secret = Annotated[StrictStr, Field(min_length=16, max_length=500, pattern=r"^[\x21-\x7e]+$")]


class TriggerChange(RequestBody):
    """What a trigger does and when, without its name."""

    template: RetrainRequest = Field(
        description="The request of its jobs, as in POST /retrain. Credentials in its addresses are taken out, kept "
        "encrypted as long as the trigger, and never shown.",
        examples=[{"experiment_name": "iris", "git_uri": "https://github.com/user/iris.git"}],
    )
    when: When = Field(description="When it fires: exactly one kind.", examples=[{"cron": "30 2 * * *"}])
    policy: Policy = Field(
        default_factory=Policy, description="What keeps it from firing.", examples=[{"cooldown": 3600}]
    )
    secret: Secret | None = Field(
        None,
        description="What senders sign with or send as their token, for the kinds git, registry and signal. Left out: "
        "a new trigger gets one, a changed one keeps its own.",
    )


class TriggerRequest(TriggerChange):
    """A trigger."""

    name: Word = Field(description="Its name.", examples=["iris-nightly"])


class ActionRequest(RequestBody):
    """Why it is done."""

    reason: Annotated[Text, Field(max_length=500)] = Field(
        "", description="Why, for those who ask later.", examples=["the data is being moved"]
    )
