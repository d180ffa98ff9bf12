"""The canaries end jobs with every failure code that there is: whoever adds one says how it comes about, too."""

from shared.errors import Code
from tests.acceptance.support.canary_ends import all_ends


def test_a_job_of_the_canaries_ends_with_every_failure_code() -> None:
    assert all_ends() == set(Code)  # none is left out: each is told to people, and may tell too much
