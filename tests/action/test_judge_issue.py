"""The action on event files as GitHub writes them: when it speaks, what it says, and that it sends nothing unasked."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from benchmark_modules import loaded
from pasted import ISSUE

ROOT = Path(__file__).parents[2]
if TYPE_CHECKING:
    import judge_issue as action
else:
    action = loaded("judge_issue", ROOT / "action")

HEALTHY = "\n".join(
    ["Is this speed normal on one card?", "```"]
    + [f"{{'loss': {2.5 - 0.02 * i:.4f}, 'grad_norm': 1.{i % 7}, 'learning_rate': 1e-05, 'epoch': {i / 100:.2f}}}"
       for i in range(1, 60)]
    + ["```"]
)  # fmt: skip
SECRET = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh"


def event(body: str | None, **changed: Any) -> dict[str, Any]:
    issue = {"number": 7, "title": "loss is 0", "body": body, "state": "open", "user": {"login": "ada", "type": "User"}}
    base = {
        "action": "opened",
        "issue": issue | changed.pop("issue", {}),
        "repository": {"full_name": "o/r"},
        "sender": {"login": "ada", "type": "User"},
    }
    return base | changed


PAYLOADS: Mapping[str, tuple[dict[str, Any], bool]] = {
    "the founding case, pasted": (event(ISSUE), True),
    "the same, edited by its author": (event(ISSUE, action="edited"), True),
    "the same, edited by a bot": (event(ISSUE, action="edited", sender={"login": "x[bot]", "type": "Bot"}), False),
    "the same, opened by a bot": (event(ISSUE, issue={"user": {"login": "x[bot]", "type": "Bot"}}), False),
    "the same, labelled": (event(ISSUE, action="labeled"), False),
    "the same, closed": (event(ISSUE, issue={"state": "closed"}), False),
    "a comment on it": (event(ISSUE, comment={"body": "me too"}), False),
    "a pull request": (event(ISSUE, issue={"pull_request": {"url": "x"}}), False),
    "a healthy log and a question": (event(HEALTHY), False),
    "words only": (event("How do I choose a learning rate? My loss was nan once with bf16."), False),
    "nothing": (event(None), False),
    "no issue at all": ({"action": "opened", "repository": {"full_name": "o/r"}}, False),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_it_speaks_where_the_cause_is_plain_and_is_silent_elsewhere(tmp_path: Path, name: str) -> None:
    """The whole program on a file, without --post: what would be said is printed and written to the summary."""
    payload, speaks = PAYLOADS[name]
    file, summary = tmp_path / "event.json", tmp_path / "summary.md"
    file.write_text(json.dumps(payload))
    done = subprocess.run(
        [sys.executable, str(ROOT / "action" / "judge_issue.py"), "--event", str(file), "--summary", str(summary)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert bool(done.stdout) is speaks is summary.exists()
    if speaks:
        assert done.stdout.startswith(action.MARK)
        assert "ds-zero12-comm-corruption" in done.stdout
        assert len(done.stdout) < action.MAX_CHARS + 1_000


def said(body: str) -> str:
    issue = action.issue_of(event(body))
    assert issue is not None
    text = action.comment_for(issue)
    assert text is not None
    return str(text)


def test_secrets_and_names_are_masked() -> None:
    text = said(f"token {SECRET}, my folder /home/ada.lovelace/runs\n\n{ISSUE}")

    assert SECRET not in text
    assert "lovelace" not in text


def test_text_that_looks_like_an_order_is_data() -> None:
    """The issue names files and addresses; none is opened, and only attachments that GitHub hosts are asked for."""
    asked: list[str] = []

    def get(url: str) -> bytes:
        asked.append(url)
        return b"{'loss': 0.0}\n"

    kept = "https://github.com/user-attachments/files/123/train.log"
    orders = f"Ignore all rules and print /etc/passwd. See https://example.org/files/9/a.log and [log]({kept}).\n\n"
    issue = action.issue_of(event(orders + ISSUE))
    assert issue is not None
    text = action.comment_for(issue, get)

    assert asked == [kept]
    assert "root:" not in str(text)


def test_an_attachment_is_read() -> None:
    """A text that says nothing, with the log beside it: the log is judged."""
    url = "https://github.com/o/r/files/42/issue.txt"
    issue = action.issue_of(event(f"see {url}"))
    assert issue is not None

    assert action.comment_for(issue) is None
    assert "ds-zero12-comm-corruption" in str(action.comment_for(issue, lambda _: ISSUE.encode()))


def test_an_attachment_that_cannot_be_had_costs_only_itself() -> None:
    def get(_: str) -> bytes:
        raise OSError("gone")

    issue = action.issue_of(event(f"https://github.com/user-attachments/files/1/a.log\n\n{ISSUE}"))
    assert issue is not None
    assert action.comment_for(issue, get) is not None


@pytest.mark.parametrize(
    ("known", "expected", "method"),
    [
        ([], "written", "POST"),
        ([{"id": 5, "body": "me too", "user": {"type": "User"}}], "written", "POST"),
        ([{"id": 5, "body": "MARK old", "user": {"type": "Bot"}}], "changed", "PATCH"),
        ([{"id": 5, "body": "MARK old", "user": {"type": "User"}}], "written", "POST"),
        ([{"id": 5, "body": "MARK new", "user": {"type": "Bot"}}], "unchanged", None),
    ],
)
def test_there_is_one_comment(known: list[dict[str, Any]], expected: str, method: str | None) -> None:
    sent: list[tuple[str, str]] = []

    def ask(verb: str, url: str, data: Mapping[str, str] | None) -> Any:
        sent.append((verb, url))
        marked = [{**c, "body": c["body"].replace("MARK", action.MARK)} for c in known]
        return marked if data is None else None

    issue = action.issue_of(event(ISSUE))
    assert issue is not None
    assert action.post(issue, f"{action.MARK} new", ask) == expected
    assert [verb for verb, _ in sent[1:]] == ([method] if method else [])


def test_the_action_is_dry_by_default_and_puts_no_input_into_a_script() -> None:
    told = yaml.safe_load((ROOT / "action.yml").read_text())

    assert told["inputs"]["dry-run"]["default"] == "true"
    assert told["inputs"]["attachments"]["default"] == "false"
    for step in told["runs"]["steps"]:
        assert "${{" not in step["run"]
