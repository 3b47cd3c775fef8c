"""Which process wrote a line."""

from forensics.deferred.patterns import expression
from forensics.formats.text import line_rank

PREFIX_BYTES = 24
"""How far from the start of a line the rank of its process may stand."""
_HOST = expression(rb"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3}): ")
HOSTS = 1 << 32
"""From here on a rank is the address of a host."""


def rank_of_line(line: bytes, *, quoted: bool) -> int:
    """Return the rank or, beyond `HOSTS`, the host that a line names before it says anything else."""
    host = _HOST.match(line)
    if host:
        return HOSTS + int.from_bytes(bytes(min(int(part), 255) for part in host.groups()), "big")
    head = line[: line.find(b"{")] if quoted else line[:PREFIX_BYTES]
    return line_rank(head.split(b"iteration")[0])
