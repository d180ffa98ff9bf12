"""Reads what git hosts, MLflow and monitoring send, each in a module of its own, and reports it to the triggers.

The modules of senders are pure: headers and body in, what happened and its proof out.
"""
