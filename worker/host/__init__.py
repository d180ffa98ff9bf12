"""Looks after this machine: what it offers to jobs, its heartbeat, and its disks."""
