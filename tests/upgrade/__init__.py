"""What an upgrade goes through: programs of an older version, of this one and of a later one work on one job store.

Every program is a process of its own, with the code of its own checkout: nothing of another version is imported here.
"""
