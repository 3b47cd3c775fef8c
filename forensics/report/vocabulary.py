"""The words of the trade as a page: what a rule may look at. The text of `medforensics rules --vocabulary`."""

from collections.abc import Iterable, Mapping


def render(words: Mapping[str, Iterable[str]]) -> str:
    """Return one heading and one list a kind of word, in alphabetical order."""
    parts = []
    for kind, found in words.items():
        parts += [f"## {kind}", "", *(f"- `{word}`" for word in sorted(found)), ""]
    return "\n".join(parts).rstrip()
