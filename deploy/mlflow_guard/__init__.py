"""Guards MLflow: decides which requests of trainings pass, and which requests of people our own server refuses.

``routes`` and ``bodies`` decide, and are pure; ``layer`` is the ASGI middleware that asks them. ``own_server`` is
MLflow's own app behind it, with trainings' port beside people's (``inside``, ``beside``, ``side``). Before somebody
else's server, ``__main__`` starts the layer as a process of its own, and ``upstream`` streams to that server.
"""
