"""Celery's results in Redis, for Flower and AsyncResult. The job store is the truth, so a lost one costs nothing."""

import logging
from typing import Any

from celery.backends.redis import RedisBackend
from celery.exceptions import BackendError
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


class Results(RedisBackend):
    """Celery's own, except that a result that Redis does not take is let go.

    An error here would end a pool's thread outside the task. Celery 5.7 then counts its request as active for ever,
    and once that is true of as many as there are slots, the worker takes no message any more.
    """

    def store_result(self, task_id: str, result: Any, state: str, *rest: Any, **named: Any) -> Any:
        """Store it, or say that it was not."""
        try:
            return super().store_result(task_id, result, state, *rest, **named)
        except (RedisError, OperationalError, BackendError) as error:
            logger.warning("not shown in Celery's results", extra={"job_id": task_id, "cause": str(error)})
            return result
