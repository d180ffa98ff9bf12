"""A job's metrics as they come, beside the champion's; the job's own page loads this one's section."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.http.errors import RegistryUnavailable
from api.ui import charts
from api.ui.asking import ask
from api.ui.charts import LineChart, Series
from api.ui.page import page
from api.ui.rendering import render
from api.views.jobs.job import get_job
from api.views.jobs.metrics import get_job_metrics


@page("GET /jobs/<job_id>/metrics")
def job_metrics(job_id: str) -> str:
    """Show them; if MLflow is away, say so: it is no fault of the job."""
    job = ask(get_job, path={"job_id": job_id})
    try:
        found = ask(get_job_metrics, path={"job_id": job_id})
    except RegistryUnavailable as error:
        return render("job_metrics.html", job=job, away=error.message)
    return render("job_metrics.html", job=job, found=found, charts_of=_charts(found), number=charts.number)


def _charts(found: Mapping[str, Any]) -> Sequence[tuple[str, LineChart]]:
    """Return a chart for each metric that was logged more than once."""
    return [(each["name"], _chart(each, found["champion"])) for each in found["metrics"] if len(each["points"]) > 1]


def _chart(metric: Mapping[str, Any], champion: Mapping[str, Any] | None) -> LineChart:
    series, reference = [Series("this job", _line(metric["points"]))], None
    if champion and len(metric["champion_points"]) > 1:
        series.append(Series("champion", _line(metric["champion_points"])))
    if champion and metric["champion"] is not None:
        reference = charts.Reference(f"champion, version {champion['version']}, at last", metric["champion"])
    return charts.lines(series, reference=reference)


def _line(points: Sequence[Mapping[str, Any]]) -> Sequence[tuple[float, float | None]]:
    return [(each["step"], each["value"]) for each in points]
