"""Cutting a log between characters: UTF-8 has up to four bytes for one."""

CONTINUATION = 0b10
LONGEST = 4


def skip_partial_start(data: bytes) -> int:
    """Bytes at the start that belong to a character cut off before them."""
    for count in range(min(LONGEST, len(data))):
        if data[count] >> 6 != CONTINUATION:
            return count
    return 0  # four in a row: no UTF-8, nothing to mend


def without_partial_end(data: bytes) -> bytes:
    """The data without the first bytes of a character whose rest is missing."""
    for back in range(1, min(LONGEST, len(data)) + 1):
        byte = data[-back]
        if byte >> 6 != CONTINUATION:
            return data[:-back] if _length(byte) > back else data
    return data


def _length(first: int) -> int:
    """How many bytes a character has that begins with this one."""
    for length, prefix in ((2, 0b110), (3, 0b1110), (4, 0b11110)):
        if first >> (7 - length) == prefix:
            return length
    return 1
