"""What may run where, and why a queued job waits. Pure decisions."""
