"""Quick looks: which blocks of a tensor are read, and what such a look can and cannot see.

A tensor is cut into blocks of equal size, at most `BLOCK_BYTES` each, of which some are drawn without replacement,
in proportion to its elements and at least one. If a share p of a checkpoint's elements is bad, however they lie,
at least a share p of the blocks, weighted alike, holds a bad element. With n blocks drawn in proportion the chance
to miss them all is at most (1 - p)**n (Jensen, log(1 - p) being concave); drawing without replacement makes it
smaller.
"""

import math
import zlib

import numpy as np

from forensics.weights.tracks import Track

BLOCK_BYTES = 64 << 10
BLOCKS = 1024
"""Blocks drawn from one checkpoint (64 MiB), and one more at most for each of its tensors."""
MISS = 0.05


def detection_limit(blocks: int, of: int | None = None) -> float:
    """Return the smallest share p of bad elements that `blocks` drawn blocks show with 95 % probability.

    Solves 1 - (1 - p)**blocks >= 0.95. When all blocks there are (`of`) were drawn, nothing can hide.

    >>> round(detection_limit(1024), 5)
    0.00292
    """
    if of is not None and blocks >= of:
        return 0.0
    return float(-np.expm1(math.log(MISS) / blocks)) if blocks > 0 else 1.0


def drawn(track: Track, elements: int) -> list[tuple[int, int]]:
    """Return the element ranges to read of a tensor of a checkpoint with that many elements, in order.

    The same tensor is drawn alike in every checkpoint and every run, so that its blocks can be compared.
    """
    groups = math.ceil(track.elements / track.dtype.group)
    blocks = math.ceil(groups / (BLOCK_BYTES // track.dtype.nbytes(track.dtype.group)))
    wanted = min(math.ceil(BLOCKS * track.elements / max(elements, 1)), blocks)
    if wanted == blocks:
        return [(0, track.elements)]
    seed = zlib.crc32(track.name.encode("utf-8", "surrogatepass"))
    chosen = np.sort(np.random.default_rng(seed).choice(blocks, wanted, replace=False, shuffle=False))
    edges = [(int(block) * groups // blocks, (int(block) + 1) * groups // blocks) for block in chosen]
    return [(first * track.dtype.group, min(stop * track.dtype.group, track.elements)) for first, stop in edges]
