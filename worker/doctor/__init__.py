"""`python -m worker.doctor`: looks at all that a worker here depends on, and says what to do. Changes nothing."""
