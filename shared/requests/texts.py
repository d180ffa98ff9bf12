"""The types of text and values in a request."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from shared.addresses.public_text import require_no_credentials

NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
LONGEST_TEXT = 6000  # of a parameter, as in MLflow


def no_control_characters(value: str) -> str:
    """Return the text; raise ValueError if it cannot be shown and stored."""
    if NOT_TEXT.search(value):
        raise ValueError("contains a control character, or half of a character")
    return value


def _no_longer_than_any_text(value: str) -> str:
    """Refuse long text early: a field's own limit applies only after all of it was searched for credentials."""
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"must have at most {LONGEST_TEXT} characters")
    return value


Text = Annotated[
    StrictStr,
    AfterValidator(_no_longer_than_any_text),
    AfterValidator(no_control_characters),
    AfterValidator(require_no_credentials),
]
Name = Annotated[Text, Field(min_length=1, max_length=250)]
Word = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
HOST_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"
ParameterName = Annotated[StrictStr, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$")]
Metric = Annotated[Text, Field(min_length=1, max_length=250)]
Direction = Literal["higher_is_better", "lower_is_better"]
ParameterValue = StrictBool | StrictInt | StrictFloat | Annotated[Text, Field(max_length=LONGEST_TEXT)]
