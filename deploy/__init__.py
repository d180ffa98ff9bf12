"""How the service is started: one machine (make up), compose files."""
