"""What is known of a remote file: the answer that every kind of store gives, in a file that all of them may import."""

from forensics.deferred.records import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """What a store says about a file: bytes, seconds since the epoch (0.0 unknown), a mark of this version.

    `head` holds the beginning of the file when the answer brought it, `whole` says that this is all of it because
    the server has no ranges.
    """

    size: int
    modified: float
    mark: str
    head: bytes = b""
    whole: bool = False
