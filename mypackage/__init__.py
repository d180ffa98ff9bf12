"""Helpers for training scripts that run under Automated Training, and the service's client and command line.

It also works as a folder copied next to train.py.
"""
