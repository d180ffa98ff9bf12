"""Deterministic simulation: two hosts' real workers in greenlets, their threads interleaved and killed as drawn.

Two hosts whose settings have one name are namesakes: two machines that ask for it.

Assumed: no thread of a living worker stands still for longer than world.STALL_SECONDS, and a worker that was told to
stop is killed soon after. Excused: the container of a host without a worker or an engine, which nobody can reach, may
run on until the host is back (Outside.out_of_reach); and what somebody removed by hand while it was being started may
be started again.
"""
