"""What the service reads and writes in the model registry when it decides about a training's models."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from mypackage.gate.champions import find_champion
from mypackage.gate.decision import Challenger, Champion
from mypackage.gate.proposal import Proposal, read_proposal
from mypackage.protocol import DECISION_TAG, JOB_TAG, PROMOTED_TAG, PROPOSAL_TAGS
from shared.promoting import CannotMove
from worker.tracking.clients import Client
from worker.tracking.connection import Refused
from worker.tracking.errors import server_answers, short
from worker.tracking.just_read import JustRead
from worker.tracking.run_tags import DESCRIPTION_TAG, with_decision

PARENT_TAG = "mlflow.parentRunId"
MOST_PARENTS = 10
NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
OF_RUN = "runs:/"
OURS = "retrain."  # tags that begin so
MOST_PROPOSALS = 100  # of one attempt

logger = logging.getLogger(__name__)


class ModelGate:
    """The registry and the runs of one tracking server, with the service's own credentials."""

    def __init__(self, client: Client, just_read: JustRead | None = None) -> None:
        self._client = client
        self._just_read = JustRead() if just_read is None else just_read

    def proposals(self, run_id: str) -> Sequence[Proposal]:
        """Return what the job's run proposes, in the order of the calls."""
        with server_answers("read the proposals", run_id=run_id):
            try:
                run = self._client.get_run(run_id)
            except Refused as error:
                if error.error_code not in NOT_THERE:
                    raise
                return ()
        texts = [text for name, text in sorted(run.data.tags.items()) if name.startswith(PROPOSAL_TAGS)]
        if not texts:
            self._just_read.keep(run)
        found = [each for each in map(read_proposal, texts) if each is not None]
        return _most_telling(sorted(found, key=lambda each: each.at))

    def challenger(self, proposal: Proposal, metric: str) -> Challenger | None:
        """Return what the run says about the proposed model; None if that run is gone."""
        with server_answers("read the challenger", run_id=proposal.run_id):
            try:
                metrics = self._client.get_run(proposal.run_id).data.metrics
            except Refused as error:
                if error.error_code not in NOT_THERE:
                    raise
                return None
        return Challenger(proposal.model_name, metric, metrics.get(metric), False, metrics, proposal.dataset)

    def is_new_model(self, proposal: Proposal) -> bool:
        """Return whether the model has no version but the proposed one."""
        name = proposal.model_name
        quote = '"' if "'" in name else "'"
        with server_answers("find the model", model=name):
            found = self._client.search_model_versions(f"name={quote}{name}{quote}", max_results=2)
        return all(str(each.version) == proposal.version for each in found)

    def find_champion(self, model: str, alias: str, metric: str) -> Champion | None:
        """Return the version that has the alias, and its values."""
        with server_answers("find the champion", model=model):
            return find_champion(self._client, model, metric, alias=alias)

    def is_of_job(self, proposal: Proposal, *, job_id: str, job_run: str) -> bool:
        """Return whether run, and version or files, of the proposal are this job's own, so that no other's count."""
        with server_answers("see whose model it is", run_id=proposal.run_id):
            if not self._run_is_of_job(proposal.run_id, job_id, job_run):
                return False
            if proposal.version is None:  # then the service registers it, with rights that the training lacks
                return self._files_are_of_job(proposal.model_uri, job_id, job_run)
            try:
                version = self._client.get_model_version(proposal.model_name, proposal.version)
            except Refused as error:
                if error.error_code not in NOT_THERE:
                    raise
                return False
            return version.run_id == proposal.run_id

    def register(self, proposal: Proposal, tags: Mapping[str, str]) -> str:
        """Return the proposed model's version, registered unless it is."""
        if proposal.version is not None:
            return proposal.version
        name, client = proposal.model_name, self._client
        with server_answers("register the model", model=name):
            if self._find_model(name) is False:
                client.create_registered_model(name)
            for each in client.search_model_versions(f"run_id='{proposal.run_id}'"):
                if each.name == name and proposal.model_uri in (each.source, f"models:/{each.model_id}"):
                    return str(each.version)  # a worker that was killed since had registered it
            made = client.create_model_version(
                name,
                proposal.model_uri,
                run_id=proposal.run_id,
                tags={**_without_ours(proposal.tags), **tags},
                model_id=_logged_model(proposal.model_uri),
            )
            return str(made.version)

    def note(self, run_ids: Sequence[str], *, decision: str, reason: str, promoted: bool) -> None:
        """Keep a decision in the tags of these runs, and its reason in what MLflow shows above them."""
        for run_id in run_ids:
            with server_answers("note the decision", run_id=run_id), _unless_gone(run_id=run_id):
                self._client.set_tag(run_id, DECISION_TAG, decision)
                self._client.set_tag(run_id, PROMOTED_TAG, str(promoted).lower())
                self._describe(run_id, reason)

    def _describe(self, run_id: str, reason: str) -> None:
        before = self._client.get_run(run_id).data.tags.get(DESCRIPTION_TAG)
        if text := with_decision(before, reason):
            self._client.set_tag(run_id, DESCRIPTION_TAG, text)

    def find_source_run(self, model: str, version: str) -> str | None:
        """Return the run that made the version; None if the version was deleted, or names none."""
        with server_answers("find the version", model=model), _unless_gone(model=model, version=version):
            return self._client.get_model_version(model, version).run_id or None
        return None

    def find_version(self, model: str, alias: str) -> str | None:
        """Return the version that has the alias."""
        with server_answers("find the alias", model=model):
            try:
                return str(self._client.get_model_version_by_alias(model, alias).version)
            except Refused as error:
                if error.error_code not in NOT_THERE:
                    raise
                return None

    def move_alias(self, model: str, alias: str, version: str) -> None:
        """Give the alias to this version; raise CannotMove."""
        with server_answers("move the alias", model=model):
            try:
                self._client.set_registered_model_alias(model, alias, version)
            except Refused as error:
                if error.error_code in NOT_THERE:
                    raise CannotMove(short(error)) from error
                # If two create the same alias at once, MLflow's database lets only one do it. Now it exists.
                if error.error_code != "BAD_REQUEST":
                    raise
                self._client.set_registered_model_alias(model, alias, version)

    def tag_version(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of the version, if it was not deleted."""
        with server_answers("tag the version", model=model), _unless_gone(model=model, version=version):
            for name, text in tags.items():
                self._client.set_model_version_tag(model, version, name, text)

    def _files_are_of_job(self, uri: str, job_id: str, job_run: str) -> bool:
        """Return whether a model that is not registered is the job's: of one of its runs, or logged by it."""
        if ".." in uri.split("/"):
            return False
        if uri.startswith(OF_RUN):
            return self._run_is_of_job(uri.removeprefix(OF_RUN).partition("/")[0], job_id, job_run)
        if (model_id := _logged_model(uri)) is None:
            return False
        try:
            logged = self._client.get_logged_model(model_id)
        except Refused as error:
            if error.error_code not in NOT_THERE:
                raise
            return False
        if owner := logged.tags.get(JOB_TAG):
            return owner == job_id
        return logged.source_run_id is not None and self._run_is_of_job(logged.source_run_id, job_id, job_run)

    def _run_is_of_job(self, run_id: str, job_id: str, job_run: str) -> bool:
        following: str | None = run_id
        for _ in range(MOST_PARENTS):
            if following is None:
                return False
            if following == job_run:
                return True
            try:
                tags = self._client.get_run(following).data.tags
            except Refused as error:
                if error.error_code not in NOT_THERE:
                    raise
                return False
            if tags.get(JOB_TAG) == job_id:
                return True
            following = tags.get(PARENT_TAG)
        return False

    def _find_model(self, name: str) -> bool:
        try:
            self._client.get_registered_model(name)
        except Refused as error:
            if error.error_code not in NOT_THERE:
                raise
            return False
        return True


@contextmanager
def _unless_gone(**facts: object) -> Iterator[None]:
    """Go on if MLflow says that there is no such run or version: nobody looks for its tags."""
    try:
        yield
    except Refused as error:
        if error.error_code not in NOT_THERE:
            raise
        logger.warning("not noted: it is gone", extra={**facts, "cause": short(error)})


def _most_telling(found: Sequence[Proposal]) -> Sequence[Proposal]:
    """Leave out some of very many: each that its training found better is better than all before it."""
    if len(found) <= MOST_PROPOSALS:
        return found
    logger.warning("not every proposal is decided", extra={"proposals": len(found), "decided": MOST_PROPOSALS})
    better = [each for each in found if each.expects][-MOST_PROPOSALS:]
    return better or found[-MOST_PROPOSALS:]


def _without_ours(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that a training may give to a version: the service sets its own, such as those of a rollback."""
    return {name: text for name, text in tags.items() if not name.strip().startswith(OURS)}


def _logged_model(uri: str) -> str | None:
    """Return the id in models:/m-…; None for another address."""
    name = uri.removeprefix("models:/")
    return name if uri.startswith("models:/") and "/" not in name and "@" not in name else None
