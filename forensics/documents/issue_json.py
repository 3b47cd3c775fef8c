"""An issue as an API hands it out: GitHub's REST and GraphQL, `gh issue view --json`, alone or with its comments.

    {"title": "loss is 0", "user": {"login": "ada"}, "body": "### System Info ...", "comments": [{"body": "..."}]}

A run is told by the one who has it: what others answer (their settings, their own runs) is left out where the
answer names its author.
"""

from collections.abc import Iterator, Mapping

from forensics.deferred.patterns import expression
from forensics.documents._markdown import split
from forensics.formats.lenient_json import load
from forensics.model import Artifact, Skip
from forensics.plugin import Piece, document
from forensics.storage.file import File

_BODY = expression(rb'"body"\s*:\s*"')
_OF_AN_ISSUE = expression(
    rb'"(?:title|user|author|html_url|comments|comments_url|author_association|createdAt|created_at)"\s*:'
)
PLACE = "line {} of the text"
MOST_TEXTS = 2000
MOST_OF_A_TITLE = 400


def _sniff(head: bytes) -> bool:
    return head.lstrip()[:1] in {b"{", b"["} and bool(_BODY.search(head)) and bool(_OF_AN_ISSUE.search(head))


@document("issue-json", match=(r"(?i)\.json$", r"(?:^|/)stdin\.log$"), sniff=_sniff)
def issue_json(artifact: Artifact) -> Iterator[Piece | Skip]:
    """JSON of an issue from an API: what its author wrote in the issue and in comments, as one text."""
    with File(artifact.location) as file:
        value = load(file, artifact.limits).value
    texts = list(_texts(value, 0))
    title = str(value.get("title") or "")[:MOST_OF_A_TITLE] if isinstance(value, Mapping) else ""
    author = next((who for who, _ in texts if who), "")
    others = [who for who, _ in texts if author and who and who != author]
    lines = [line for who, text in texts if not author or who in {"", author} for line in [*text.splitlines(), ""]]
    yield from split(lines, PLACE, title)
    if others:
        yield Skip(artifact.path, f"{len(others)} comments of others than the author were not read")


def _texts(value: object, depth: int) -> Iterator[tuple[str, str]]:
    """Yield author and text of everything that has a body, in the order of the document, the outer before the inner."""
    if depth > 12:
        return
    if isinstance(value, Mapping):
        body = value.get("body")
        if isinstance(body, str):
            yield _author(value), body
        inner = list(value.values())
    elif isinstance(value, list):
        inner = value[:MOST_TEXTS]
    else:
        return
    for part in inner:
        if isinstance(part, (Mapping, list)):
            yield from _texts(part, depth + 1)


def _author(value: Mapping[str, object]) -> str:
    user = value.get("user", value.get("author"))
    if isinstance(user, Mapping):
        user = user.get("login")
    return user if isinstance(user, str) else ""
