"""Weights: checkpoints found, opened lazily, scanned, compared and judged."""

from forensics.weights.examine import WeightsDepth, examine_checkpoints
from forensics.weights.find import find_checkpoints

__all__ = ["WeightsDepth", "examine_checkpoints", "find_checkpoints"]
