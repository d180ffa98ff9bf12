"""The operations about triggers, and what starts retrainings from outside."""
