"""What the API and the worker must agree on: settings, the job model, the store, the queue, errors."""
