"""The job model, and the interface that every job store implements."""
