"""`python -m worker.doctor`: checks everything that a worker here depends on, and says what to do. Changes nothing."""
