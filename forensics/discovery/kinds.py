"""Which of very many files are looked at: a hundred thousand pictures must not hide the log that lies behind them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

from forensics.limits import Limits
from forensics.model import Skip

Kind: TypeAlias = tuple[str, str]
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".distcp", ".npz", ".npy", ".json", ".metadata")
"""Endings of which none is left out while the others fit beside them: a checkpoint that lacks a file is damaged."""
MOST_SPARED = 64
"""Down to so many files of any other kind are given up for them."""


def kind_of(path: str) -> Kind:
    """Return the folder and the ending of a file."""
    folder, _, name = path.rpartition("/")
    return folder, name[name.rfind(".") :].lower() if "." in name else ""


def chosen(paths: Sequence[str], limits: Limits, most: int) -> tuple[list[int], list[Skip]]:
    """Return the numbers of the files to look at, in their order, and what is said of the others.

    Files of one ending in one folder are of a kind. Of each kind `most` are taken, the first half and the last by name,
    as a run counts up what it writes; fewer where all kinds together are more than `limits.files`.
    """
    if len(paths) <= min(most, limits.files):
        return list(range(len(paths))), []
    kinds: dict[Kind, list[int]] = defaultdict(list)
    for number, path in enumerate(paths):
        kinds[kind_of(path)].append(number)
    counts = {kind: len(held) for kind, held in kinds.items()}
    least = 1
    while least < most:  # the largest number of each that fits
        middle = (least + most + 1) // 2
        if sum(_taken(kind, count, middle) for kind, count in counts.items()) <= limits.files:
            least = middle
        else:
            most = middle - 1
    kept: list[int] = []
    skips: list[Skip] = []
    for kind, held in kinds.items():
        take = _taken(kind, len(held), most)
        ordered = sorted(held, key=paths.__getitem__) if take < len(held) else held
        kept += ordered[: take - take // 2] + ordered[len(held) - take // 2 :]
        if take < len(held):
            skips.append(told(kind, len(held), f"{take:,} of them were looked at, the first and the last"))
    if len(kept) > limits.files:
        skips.append(Skip("further files", f"more than {limits.files:,} files; name a smaller directory"))
    return sorted(kept)[: limits.files], skips


def told(kind: Kind, count: int, what: str) -> Skip:
    """Say that not all files of a kind were looked at."""
    folder, ending = kind
    return Skip(f"{folder}/*{ending}" if folder else f"*{ending}", f"{count:,} files of a kind; {what}")


def _taken(kind: Kind, count: int, most: int) -> int:
    return count if kind[1] in WEIGHTS and most >= MOST_SPARED else min(count, most)
