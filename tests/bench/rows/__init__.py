"""All rows, in the order in which they are measured: those of one place stand together."""

from tests.bench.rows import busy, calls, http, jobs, many, memory, pages, parts, start, tabs

ROWS = [
    *jobs.ROWS,
    *busy.ROWS,
    *http.ROWS,
    *many.ROWS,
    *pages.ROWS,
    *tabs.ROWS,
    *memory.ROWS,
    *start.ROWS,
    *calls.ROWS,
    *parts.ROWS,
]
