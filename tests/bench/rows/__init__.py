"""All rows, in the order in which they are measured: those of one place stand together."""

from tests.bench.rows import http, jobs, many, memory, parts, start

ROWS = [
    *jobs.ROWS,
    *http.ROWS,
    *many.ROWS,
    *memory.ROWS,
    *start.ROWS,
    *parts.ROWS,
]
