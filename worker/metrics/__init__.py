"""This worker's metrics for Prometheus, and the store that counts them."""
