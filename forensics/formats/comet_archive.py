"""How an offline archive of Comet is told from any other zip archive."""

NAME_AT = 30
"""Where the name of the first member stands in a zip archive (APPNOTE 4.3.7)."""
MEMBERS = (b"experiment.json", b"messages.json")
HEAD_BYTES = NAME_AT + max(map(len, MEMBERS))


def is_comet(head: bytes) -> bool:
    """Tell whether an archive starts as Comet's do: with one of its two members."""
    return head.startswith(b"PK\x03\x04") and head[NAME_AT:].startswith(MEMBERS)
