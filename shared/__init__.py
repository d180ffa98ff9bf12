"""What the API and the worker share: settings, the job model, the store, the queue, errors."""
