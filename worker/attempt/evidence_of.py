"""Makes evidence of what the evaluations of two models logged: a value, or the score of each example."""

import math
from pathlib import Path

from mypackage.gate.evidence import Evidence, Unscorable
from mypackage.gate.numbers import gain, show
from mypackage.protocol import SCORES_FILE
from worker.attempt.evaluator import Comparison
from worker.evaluation.comparing import CONFIDENCE, Question, compare
from worker.tracking.evaluation_runs import Evaluated, EvaluationRuns, TooBig

OURS, THEIRS = "challenger", "champion"
SAME = 1e-3  # how far the mean of the scores may be from the metric, relative to it


def evidence_of(
    asked: Comparison, runs: EvaluationRuns, ours: Evaluated, theirs: Evaluated, folder: Path
) -> Evidence | Unscorable:
    """Return what both evaluations say of the models; ``folder`` is for copies of their scores."""
    failed = [(which, run.why) for which, run in ((OURS, ours), (THEIRS, theirs)) if run.why]
    if failed:
        which, why = failed[0]
        return Unscorable(which if len(failed) == 1 else "both", f"evaluate failed: {why}")
    files = {}
    for which, run in ((OURS, ours), (THEIRS, theirs)):
        (folder / which).mkdir()
        try:
            found = runs.fetch_scores(run.run_id, folder / which)
        except TooBig as error:
            return Unscorable(which, str(error))
        if found:
            files[which] = found
    if not files:
        return _by_value(asked, ours, theirs)
    if len(files) == 1:
        missing = THEIRS if OURS in files else OURS
        return Unscorable(missing, f"evaluate logged no {SCORES_FILE} for it, as it did for the other")
    confidence = asked.rules.min_confidence or CONFIDENCE
    question = Question(
        metric=asked.metric,
        challenger=files[OURS],
        champion=files[THEIRS],
        lower_is_better=asked.rules.lower_is_better,
        confidence=confidence,
        slices=tuple(asked.rules.slices),
    )
    found_out = compare(question)
    return _of_the_metric(found_out, ours, theirs) if isinstance(found_out, Evidence) else found_out


def _by_value(asked: Comparison, ours: Evaluated, theirs: Evaluated) -> Evidence | Unscorable:
    for which, run in ((OURS, ours), (THEIRS, theirs)):
        if asked.metric not in run.metrics:
            return Unscorable(which, f"evaluate logged neither a number '{asked.metric}' nor {SCORES_FILE} for it")
    value, other = ours.metrics[asked.metric], theirs.metrics[asked.metric]
    difference = float(gain(value, other, lower_is_better=asked.rules.lower_is_better))
    confidence = asked.rules.min_confidence or CONFIDENCE
    return Evidence(asked.metric, None, value, other, difference, None, None, confidence)


def _of_the_metric(evidence: Evidence, ours: Evaluated, theirs: Evaluated) -> Evidence | Unscorable:
    """Return the evidence, unless the mean of the scores is not the metric that was logged beside them."""
    for which, run, mean in ((OURS, ours, evidence.challenger), (THEIRS, theirs, evidence.champion)):
        logged = run.metrics.get(evidence.metric)
        if logged is not None and not math.isclose(logged, mean, rel_tol=SAME, abs_tol=1e-9):
            why = f"its scores have the mean {show(mean)}, and evaluate logged {evidence.metric} {show(logged)}: log "
            return Unscorable(which, why + f"no {SCORES_FILE} for a metric that is not a mean of scores")
    return evidence
