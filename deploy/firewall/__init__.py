"""The firewall of trainings: they reach neither each other, nor this host, nor private networks."""
