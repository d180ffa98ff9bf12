"""Names what people watch: for each of these topics, the store has a sign that is another one once it has changed."""

from enum import StrEnum


class Topic(StrEnum):
    """What may have changed."""

    JOBS = "jobs"
    MODELS = "models"
    TRIGGERS = "triggers"
