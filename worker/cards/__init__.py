"""Makes the card of a job: what its training achieved beside the champion, as files of its MLflow run."""
