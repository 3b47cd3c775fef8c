"""What a hostile file is and what must be said about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """A hostile file.

    `said` is a regular expression for the error, or for one of the problems or dangerous names; "" when the
    file must simply be read. `tensors` is how many tensors must be reported intact (None: not looked at).
    """

    name: str
    content: bytes
    said: str = ""
    tensors: int | None = None
    ending: str = "pt"


@dataclass(frozen=True, slots=True)
class Payload:
    """What an attacker would run: it only creates the marker file."""

    marker: str

    @property
    def command(self) -> str:
        return f"touch '{self.marker}'"

    @property
    def code(self) -> str:
        return f"open({self.marker!r}, 'w').close()"
