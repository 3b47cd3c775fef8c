"""The GitHub Action's script: judge a new issue from its text and attachments, and comment where the cause is plain.

It reads the event that GitHub Actions writes (GITHUB_EVENT_PATH), never the checkout, and says something only where a
cause is likely or established. One comment an issue: a later edit of the issue changes it. Without --post nothing is
sent; what would be said goes to the summary of the job. The text of an issue is data: it chooses no command, no file
and no address but those of attachments that GitHub itself hosts.

python action/judge_issue.py --event EVENT.json [--post] [--attachments] [--summary FILE]
"""

import argparse
import json
import os
import re
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forensics
from forensics.diagnosis.judgement import leading_cause
from forensics.errors import ForensicsError
from forensics.report import markdown, masked

MARK = "<!-- medforensics: one comment an issue -->"
ACTIONS = {"opened", "edited", "reopened"}
SPEAKING = {"established", "likely"}
MAX_CHARS = 12_000
"""A comment holds 65,536 characters; a reader takes less."""
ATTACHED = re.compile(r"https://github\.com/(?:user-attachments/files|[\w.-]+/[\w.-]+/files)/\d+/([\w.-]{1,120})")
"""Where GitHub keeps the files that people drag into an issue."""
READABLE = (".txt", ".log", ".json", ".jsonl", ".csv", ".yaml", ".yml", ".ipynb", ".zip", ".gz", ".md", ".out", ".err")
ATTACHMENT_BYTES = 25 << 20
ATTACHMENTS = 5
Fetch = Callable[[str], bytes]
Send = Callable[[str, str, Mapping[str, str] | None], Any]


@dataclass(frozen=True, slots=True)
class Issue:
    """What is judged of an event: the repository (`owner/name`), the number, title and text as people wrote them."""

    repository: str
    number: int
    title: str
    body: str


def issue_of(event: Mapping[str, Any]) -> Issue | None:
    """Return the issue of an event; None for what is no business of ours: bots, pull requests, closed ones, labels."""
    issue = event.get("issue")
    sender = event.get("sender") or {}
    if not isinstance(issue, Mapping) or event.get("action") not in ACTIONS or "comment" in event:
        return None
    by_bot = sender.get("type") == "Bot" or (issue.get("user") or {}).get("type") == "Bot"
    if by_bot or "pull_request" in issue or issue.get("state") == "closed":
        return None
    body = issue.get("body") or ""
    if not body.strip():
        return None
    return Issue(event["repository"]["full_name"], int(issue["number"]), str(issue.get("title") or ""), body)


def fetch(url: str) -> bytes:
    """Return an attachment, at most `ATTACHMENT_BYTES` of it."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  (the pattern allows one host, https)
        data: bytes = answer.read(ATTACHMENT_BYTES)
    return data


def comment_for(issue: Issue, get: Fetch | None = None) -> str | None:
    """Return what is to be said of an issue; None where nothing is sure enough."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "issue.md").write_text(f"# {issue.title}\n\n{issue.body}\n", encoding="utf-8")
        for number, found in enumerate(ATTACHED.finditer(issue.body)):
            name = f"{number}-{found[1]}"
            if get is None or number >= ATTACHMENTS or not name.lower().endswith(READABLE):
                continue
            try:
                (Path(folder) / name).write_bytes(get(found[0]))
            except OSError as error:
                print(f"attachment {number} was not read: {error}", file=sys.stderr)
        try:
            report = forensics.analyze(folder)
        except ForensicsError as error:
            print(f"nothing to judge: {error}", file=sys.stderr)
            return None
        first = leading_cause(report.hypotheses)
        if first is None or first.verdict not in SPEAKING or report.verdict not in {"broken", "suspicious"}:
            return None
        text = markdown.render(masked(report, identities=True), max_chars=MAX_CHARS, masked=True)
    return (
        f"{MARK}\nWritten by [medforensics](https://pypi.org/project/medforensics/), by rules, from the text of this "
        f"issue. It may be wrong: each claim names the line that it stands on.\n\n{text}"
    )


def send(method: str, url: str, data: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401  (JSON of an API)
    """Ask GitHub's API with the token of the job, and return its answer."""
    request = urllib.request.Request(  # noqa: S310  (the address is GITHUB_API_URL of the job)
        url,
        method=method,
        data=None if data is None else json.dumps(data).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


def post(issue: Issue, text: str, ask: Send = send) -> str:
    """Write the comment, or change the one that is there; return which."""
    api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    base = f"{api}/repos/{urllib.parse.quote(issue.repository)}/issues"
    known = ask("GET", f"{base}/{issue.number}/comments?per_page=100", None)
    own = next((c for c in known if c["body"].startswith(MARK) and c["user"]["type"] == "Bot"), None)
    if own is None:
        ask("POST", f"{base}/{issue.number}/comments", {"body": text})
        return "written"
    if own["body"] == text:
        return "unchanged"
    ask("PATCH", f"{base}/comments/{own['id']}", {"body": text})
    return "changed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--event", type=Path, required=True)
    parser.add_argument("--post", action="store_true", help="send the comment; without it nothing is sent")
    parser.add_argument("--attachments", action="store_true", help="read files that were attached to the issue too")
    parser.add_argument("--summary", type=Path, help="append what is said to this file")
    asked = parser.parse_args()
    issue = issue_of(json.loads(asked.event.read_text(encoding="utf-8")))
    text = None if issue is None else comment_for(issue, fetch if asked.attachments else None)
    if issue is None or text is None:
        print("silent: no issue to judge, or nothing likely", file=sys.stderr)
        return 0
    if asked.summary is not None:
        with asked.summary.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
    if asked.post:
        print(f"comment {post(issue, text)}", file=sys.stderr)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
