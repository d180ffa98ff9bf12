"""This worker's own numbers for Prometheus, and the store that counts them."""
