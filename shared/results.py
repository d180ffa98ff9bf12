"""Stores Celery's results in Redis, for Flower and AsyncResult. Losing one costs nothing: the job store has it all."""

import logging
from typing import Any

from celery.backends.redis import RedisBackend
from celery.exceptions import BackendError
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


class Results(RedisBackend):
    """Celery's own backend, except that a result that Redis does not accept is dropped.

    An error here would end a pool's thread outside the task. Celery 5.7 then counts its request as active forever,
    and once that has happened to as many requests as there are slots, the worker takes no more messages.
    """

    def store_result(self, task_id: str, result: Any, state: str, *rest: Any, **named: Any) -> Any:
        """Store the result, or log that it was not stored."""
        try:
            return super().store_result(task_id, result, state, *rest, **named)
        except (RedisError, OperationalError, BackendError) as error:
            logger.warning("not shown in Celery's results", extra={"job_id": task_id, "cause": str(error)})
            return result
