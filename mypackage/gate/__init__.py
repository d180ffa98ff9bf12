"""The promotion gate: runs inside the training and decides whether its new model becomes champion."""
