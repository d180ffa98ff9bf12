"""All rows, in the order in which they are measured: those of one place stand together."""

from tests.bench import rows_of_http, rows_of_jobs, rows_of_many, rows_of_memory, rows_of_parts, rows_of_start

ROWS = [
    *rows_of_jobs.ROWS,
    *rows_of_http.ROWS,
    *rows_of_many.ROWS,
    *rows_of_memory.ROWS,
    *rows_of_start.ROWS,
    *rows_of_parts.ROWS,
]
