"""Every error that this project raises.

RetrainError
├── AttemptError            an attempt cannot continue; has a code and one of the types below
│   ├── UserError           the project, its parameters or its code: whoever sent the request must act
│   ├── InfrastructureError docker, git host, tracking server, disk: worth another attempt
│   ├── AttemptTimeout      a step took longer than allowed
│   ├── AttemptCancelled    somebody asked for the job's end
│   └── InternalError       a bug in this service
├── JobNotFound             no job has this id
├── HostNotFound            no worker of this host ever sent a heartbeat
├── HostNameTaken           another machine's worker lives under this name: stop, and leave everything to it
├── IdempotencyKeyReused    the key was used before, with another payload
├── JobEnded                the job has ended: there is nothing to cancel
├── StateUnknown            the job is in a state of a later version: leave it to that version
├── JobNotEnded             the job has not ended: there is nothing to repeat yet
├── JobNotWaiting           the job does not wait: its priority says nothing any more
├── TriggerNotFound         no trigger has this name
├── TriggerExists           another trigger has this name
├── TriggerChanged          it was changed since it was read
├── TokenExists             a token with this name was made before
├── TokenNotFound           no token has this name
├── TokenEnded              the token was revoked or has expired, and stays so
├── TooManyJobsQueued       as many jobs of its caller wait as may
├── ModelOfAnotherTeam      teams are isolated, and the model is another's
├── PromotionNotFound       no promotion has this id
├── PromotionSettled        the promotion is over: somebody else approved, rejected or overtook it, or it expired
├── NotChampion             an observation is of another version than the champion
├── ObservationRefused      an observation's time is too far away, or it contradicts one that is recorded
├── LeaseLost               another worker holds the job now, or it has ended: stop writing
├── StoreUnavailable        the database does not answer
├── QueueUnavailable        Redis does not answer
└── ConfigurationError      a setting is wrong: the process does not start
"""

from shared.failures.codes import Code, FailureType

__all__ = ["Code", "FailureType"]  # beside the classes below: whoever raises one names both


class RetrainError(Exception):
    """Root of this project's errors; ``facts`` has what the message says, for programs and tests."""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class AttemptError(RetrainError):
    """An attempt cannot continue."""

    type: FailureType

    def __init__(self, code: Code, message: str, **facts: object) -> None:
        super().__init__(message, **facts)
        self.code = code


class UserError(AttemptError):
    """The project, its parameters or its code is wrong."""

    type = FailureType.USER_ERROR


class InfrastructureError(AttemptError):
    """Something around the project failed; another attempt may work."""

    type = FailureType.INFRASTRUCTURE


class AttemptTimeout(AttemptError):
    """A step took longer than allowed."""

    type = FailureType.TIMEOUT


class AttemptCancelled(AttemptError):
    """Somebody asked for the job's end."""

    type = FailureType.CANCELLED

    @classmethod
    def on_request(cls) -> "AttemptCancelled":
        """Return the error with its only message."""
        return cls(Code.USER_CANCELLED, "The job was cancelled on request.")


class InternalError(AttemptError):
    """A bug in this service."""

    type = FailureType.INTERNAL


class JobNotFound(RetrainError):
    """No job has this id."""

    @classmethod
    def of(cls, job_id: str) -> "JobNotFound":
        """Return the error for this id."""
        return cls(f"There is no job {job_id!r}. GET /jobs lists those that exist.", job_id=job_id)


class HostNotFound(RetrainError):
    """No worker of this host ever sent a heartbeat."""


class HostNameTaken(RetrainError):
    """Another machine's worker is alive under this name, and only one may be."""


class IdempotencyKeyReused(RetrainError):
    """The idempotency key was used before, with another payload."""


class JobEnded(RetrainError):
    """The job has ended: there is nothing to cancel."""


class StateUnknown(RetrainError):
    """The job is in a state that only a later version knows."""

    def __init__(self, job_id: str, state: str) -> None:
        message = (
            f"Job {job_id} is {state}, which is a state of a later version of this service. Ask an API of that version."
        )
        super().__init__(message, job_id=job_id, state=state)


class JobNotWaiting(RetrainError):
    """The job has begun or ended: its priority says nothing any more."""


class JobNotEnded(RetrainError):
    """The job has not ended: there is nothing to repeat yet."""


class TriggerNotFound(RetrainError):
    """No trigger has this name."""

    @classmethod
    def of(cls, name: str) -> "TriggerNotFound":
        """Return the error for this name."""
        return cls(f"There is no trigger {name!r}. GET /triggers lists those that exist.", trigger=name)


class TriggerExists(RetrainError):
    """Another trigger has this name."""


class TriggerChanged(RetrainError):
    """The trigger was changed since it was read."""


class TokenExists(RetrainError):
    """A token with this name was made before."""


class TokenNotFound(RetrainError):
    """No token has this name."""


class TokenEnded(RetrainError):
    """The token was revoked or has expired, and stays so."""

    @classmethod
    def of(cls, name: str) -> "TokenEnded":
        """Return the error for this token."""
        return cls(f"Token {name!r} was revoked or has expired. Create another one, with another name.", token=name)


class TooManyJobsQueued(RetrainError):
    """As many of your jobs wait as may of one caller."""


class ModelOfAnotherTeam(RetrainError):
    """TEAMS_ISOLATED is set, and a model that is named belongs to another team."""


class PromotionNotFound(RetrainError):
    """No promotion has this id."""

    @classmethod
    def of(cls, promotion_id: str) -> "PromotionNotFound":
        """Return the error for this id, which may well be a job's."""
        message = f"There is no promotion {promotion_id!r}. Its id is promotion.id of the job, not the job's own."
        return cls(message, promotion_id=promotion_id)


class PromotionSettled(RetrainError):
    """The promotion is over: somebody else approved, rejected or overtook it, or it expired."""


class NotChampion(RetrainError):
    """Another version than the one that is meant is champion, or none is."""


class ObservationRefused(RetrainError):
    """The observation's time is too far away, or another value is recorded for it."""


class LeaseLost(RetrainError):
    """The claim's token is no longer the job's: stop writing, leave the container alone."""


class StoreUnavailable(RetrainError):
    """The database does not answer."""


class QueueUnavailable(RetrainError):
    """Redis does not answer."""


class ConfigurationError(RetrainError):
    """A setting is wrong; the message names the variable and what would be right."""
