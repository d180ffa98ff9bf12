"""Cuts a log between characters, which have up to four bytes in UTF-8."""

CONTINUATION = 0b10
LONGEST = 4


def skip_partial_start(data: bytes) -> int:
    """Return how many bytes at the start belong to a character whose beginning was cut off."""
    for count in range(min(LONGEST, len(data))):
        if data[count] >> 6 != CONTINUATION:
            return count
    return 0  # four in a row: not UTF-8, nothing to mend


def without_partial_end(data: bytes) -> bytes:
    """Return the data without the beginning of a character whose rest is missing."""
    for back in range(1, min(LONGEST, len(data)) + 1):
        byte = data[-back]
        if byte >> 6 != CONTINUATION:
            return data[:-back] if _length(byte) > back else data
    return data


def _length(first: int) -> int:
    """Return how many bytes a character has that begins with this byte."""
    for length, prefix in ((2, 0b110), (3, 0b1110), (4, 0b11110)):
        if first >> (7 - length) == prefix:
            return length
    return 1
