"""Builds the links of a job: its own pages here, and those in MLflow and Flower."""

from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit, urlunsplit

from shared.jobs.model import Job
from shared.settings import Settings

TRAINING_PAGES = "?workflowType=machine_learning"
CARD = "retrain/card.html"  # among the run's artifacts


@dataclass(frozen=True)
class Links:
    """Builds the addresses. ``mlflow`` is None if the tracking server has no pages (a folder, a database).

    ``api`` is None unless the operator sets where people reach it. ``prefix`` is the path below which a caller does.
    """

    mlflow: str | None
    flower: str
    api: str | None
    prefix: str = ""
    cards: bool = False  # jobs whose model was decided about have a card in MLflow

    @classmethod
    def of(cls, settings: Settings) -> "Links":
        """Read the public addresses from the settings."""
        mlflow = _page(settings.mlflow_public_url or settings.mlflow_tracking_uri)
        flower, api = settings.flower_url.rstrip("/"), _page(settings.api_public_url)
        return cls(mlflow=mlflow, flower=flower, api=api, cards=settings.job_cards)

    def below(self, prefix: str) -> "Links":
        """Return the same for a caller who reaches the API below this path."""
        return replace(self, prefix=prefix)

    def job(self, job: Job) -> str:
        """Return the job's own address; without a host, because only the caller knows by which name it reached us."""
        return f"{self.prefix}/jobs/{job.id}"

    def job_address(self, job: Job) -> str | None:
        """Return the job's absolute address in the API, for programs."""
        return f"{self.api}/jobs/{job.id}" if self.api else None

    def job_page(self, job: Job) -> str | None:
        """Return the absolute address of the job's page, for people."""
        return f"{self.api}/ui/jobs/{job.id}" if self.api else None

    def card(self, job: Job) -> str | None:
        """Return the address of the card in MLflow that a job gets whose model was decided about."""
        page = self.run(job) if self.cards else None
        return page.replace(TRAINING_PAGES, f"/artifacts/{CARD}{TRAINING_PAGES}") if page else None

    def trigger(self, name: str) -> str:
        """Return the trigger's own address, likewise."""
        return f"{self.prefix}/triggers/{name}"

    def logs(self, job: Job) -> str:
        """Return the address of the last attempt's log."""
        return f"{self.job(job)}/logs"

    def run(self, job: Job) -> str | None:
        """Return the address of the MLflow run's page."""
        if self.mlflow is None or job.run_id is None or job.experiment_id is None:
            return None
        return run_page(self.mlflow, experiment_id=job.experiment_id, run_id=job.run_id)

    def task(self, job: Job) -> str:
        """Return the address of the task's page in Flower."""
        return f"{self.flower}/task/{job.id}"


def run_page(mlflow: str, *, experiment_id: str, run_id: str) -> str:
    """Return the address of a run's page. Without the mode, MLflow opens on its pages for agents and traces."""
    return f"{mlflow}/#/experiments/{experiment_id}/runs/{run_id}{TRAINING_PAGES}"


def model_version_page(mlflow: str, *, name: str, version: str) -> str:
    """Return the address of a page about a version in the model registry."""
    return f"{mlflow}/#/models/{quote(name, safe='')}/versions/{quote(version, safe='')}"


def _page(uri: str) -> str | None:
    """Return the address without the user and password that a tracking URI may contain."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return None
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
