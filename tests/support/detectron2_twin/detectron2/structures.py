"""Box modes."""

from enum import IntEnum


class BoxMode(IntEnum):
    """detectron2's own numbers."""

    XYXY_ABS = 0
    XYWH_ABS = 1
