"""What all bodies and queries of the API have in common. Each is built when it is first used: most never are."""

from pydantic import BaseModel, ConfigDict


class AnswerBody(BaseModel):
    """Anything that is answered as JSON."""

    model_config = ConfigDict(from_attributes=True, frozen=True, defer_build=True)


class RequestBody(BaseModel):
    """A JSON object that is sent; an unknown field is refused, because what it asks for would not be done."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class Query(BaseModel):
    """Query parameters; a misspelt one is refused, because its filter would silently not be applied."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class NoQuery(Query):
    """None is taken."""
