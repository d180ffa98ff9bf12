"""Guards MLflow: decides which requests of trainings pass, and which requests of people our own server refuses.

``routes`` and ``bodies`` decide, and are pure; ``layer`` is the ASGI middleware that asks them; ``upstream`` is the
ASGI app that streams to an MLflow server; ``__main__`` starts both where containers reach them; ``own_server`` is
MLflow's own app behind the layer.
"""
