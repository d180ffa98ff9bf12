"""Where a job can be seen: its own pages here, MLflow's and Flower's."""

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from shared.jobs.model import Job
from shared.settings import Settings


@dataclass(frozen=True)
class Links:
    """Makes the addresses. ``mlflow`` is None where the tracking server has no pages (a folder, a database).

    ``api`` is None unless the operator says where people reach it.
    """

    mlflow: str | None
    flower: str
    api: str | None

    @classmethod
    def of(cls, settings: Settings) -> "Links":
        """Read the addresses as people reach them."""
        mlflow = _page(settings.mlflow_public_url or settings.mlflow_tracking_uri)
        return cls(mlflow=mlflow, flower=settings.flower_url.rstrip("/"), api=_page(settings.api_public_url))

    def job(self, job: Job) -> str:
        """The job's own address; relative, since only the caller knows by which name it reached us."""
        return f"/jobs/{job.id}"

    def job_page(self, job: Job) -> str | None:
        """The same, whole."""
        return f"{self.api}{self.job(job)}" if self.api else None

    def logs(self, job: Job) -> str:
        """The log of the job's last attempt."""
        return f"/jobs/{job.id}/logs"

    def run(self, job: Job) -> str | None:
        """The MLflow run's page."""
        if self.mlflow is None or job.run_id is None or job.experiment_id is None:
            return None
        return f"{self.mlflow}/#/experiments/{job.experiment_id}/runs/{job.run_id}"

    def task(self, job: Job) -> str:
        """Flower's page of the job's task."""
        return f"{self.flower}/task/{job.id}"


def _page(uri: str) -> str | None:
    """The address without the user and password that a tracking URI may hold."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return None
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
