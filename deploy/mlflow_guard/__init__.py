"""The layer before MLflow: which requests of trainings it lets through, and which of people's our own server refuses.

``routes`` and ``bodies`` decide and touch nothing; ``layer`` is the ASGI middleware that asks them; ``upstream`` is the
ASGI app that streams to an MLflow server; ``__main__`` starts both where containers reach them; ``own_server`` is
MLflow's own app behind the layer.
"""
