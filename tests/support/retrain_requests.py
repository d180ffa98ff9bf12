"""Bodies of POST /retrain: the least that is taken, and what is made of it."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.requests.retrain_request import RetrainRequest

GIT_URI = "https://git.example/team/iris.git"
REQUIRED = {"experiment_name": "iris", "git_uri": GIT_URI}
WITH_TOKEN = "https://hunter2@git.example/team/iris.git"


def parse(**fields: Any) -> RetrainRequest:
    """The request with these fields besides."""
    return RetrainRequest.model_validate({**REQUIRED, **fields})


def refused(**fields: Any) -> ValidationError:
    """Why the request with these fields is refused."""
    with pytest.raises(ValidationError) as caught:
        parse(**fields)
    return caught.value
