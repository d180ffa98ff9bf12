"""The job model, and what a job store promises."""
