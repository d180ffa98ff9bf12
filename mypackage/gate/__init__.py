"""The promotion gate that runs in a training."""
