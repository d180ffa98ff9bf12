"""Compares the scores of two models on the same data; what scores them is in worker/attempt/evaluating.py."""
