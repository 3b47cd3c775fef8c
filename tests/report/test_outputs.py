"""What no output may ever hold, looked for in every output there is."""

import base64
import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner

import planted
from forensics.cli import main
from secrets_planted import BY_NAME, IDENTITIES, SECRETS

SHOWN = {
    "terminal": ["analyze", "RUN"],
    "terminal, verbose": ["analyze", "RUN", "--verbose"],
    "terminal, brief": ["analyze", "RUN", "-q"],
    "json": ["analyze", "RUN", "--json"],
    "json, not redacted": ["analyze", "RUN", "--json", "--no-redact"],
    "markdown, not redacted": ["analyze", "RUN", "-f", "markdown", "--no-redact"],
    "html, not redacted": ["analyze", "RUN", "-f", "html", "--no-redact"],
    "timeline": ["timeline", "RUN"],
    "timeline, csv": ["timeline", "RUN", "-f", "csv"],
    "timeline, json": ["timeline", "RUN", "-f", "json"],
    "env": ["env", "RUN"],
    "env, json": ["env", "RUN", "-f", "json"],
    "scan": ["scan", "RUN", "--top", "0"],
    "scan, csv": ["scan", "RUN", "--top", "0", "-f", "csv"],
    "scan, json": ["scan", "RUN", "--top", "0", "-f", "json"],
    "timeline, samples": ["timeline", "RUN", "--samples", "-f", "csv"],
    "timeline, plot": ["timeline", "RUN", "--plot"],
    "diff": ["diff", "CHECKPOINT", "OTHER", "--top", "0"],
    "diff, csv": ["diff", "CHECKPOINT", "OTHER", "--top", "0", "-f", "csv"],
    "diff, json": ["diff", "CHECKPOINT", "OTHER", "--top", "0", "-f", "json"],
    "compare": ["compare", "GOOD", "RUN"],
    "compare, json": ["compare", "GOOD", "RUN", "-f", "json", "--weights"],
    "compare, markdown, not redacted": ["compare", "GOOD", "RUN", "-f", "markdown", "--no-redact"],
    "triage": ["triage", "ROOT", "-j", "1"],
    "triage, csv": ["triage", "ROOT", "-j", "1", "-f", "csv"],
    "triage, json": ["triage", "ROOT", "-j", "1", "-f", "json"],
    "triage, state": ["triage", "ROOT", "-j", "1", "-q", "--resume", "OUT"],
    "triage, file, not redacted": ["triage", "ROOT", "-j", "1", "-f", "csv", "-o", "OUT", "--no-redact"],
}
SHARED = {
    "markdown": ["analyze", "RUN", "-f", "markdown"],
    "markdown, template": ["analyze", "RUN", "-f", "markdown", "--template", "deepspeed"],
    "html": ["analyze", "RUN", "-f", "html"],
    "sarif": ["analyze", "RUN", "-f", "sarif"],
    "json to a file": ["analyze", "RUN", "--json", "-o", "OUT"],
    "terminal to a file": ["analyze", "RUN", "--verbose", "-o", "OUT"],
    "bundle": ["bundle", "RUN", "-q", "-o", "OUT"],
    "timeline to a file": ["timeline", "RUN", "-o", "OUT"],
    "timeline, csv to a file": ["timeline", "RUN", "-f", "csv", "-o", "OUT"],
    "timeline, json to a file": ["timeline", "RUN", "-f", "json", "-o", "OUT"],
    "timeline, samples to a file": ["timeline", "RUN", "--samples", "-f", "json", "-o", "OUT"],
    "timeline, plot to a file": ["timeline", "RUN", "--plot", "-o", "OUT"],
    "env to a file": ["env", "RUN", "-o", "OUT"],
    "env, json to a file": ["env", "RUN", "-f", "json", "-o", "OUT"],
    "scan to a file": ["scan", "RUN", "--top", "0", "-o", "OUT"],
    "scan, csv to a file": ["scan", "RUN", "--top", "0", "-f", "csv", "-o", "OUT"],
    "scan, json to a file": ["scan", "RUN", "--top", "0", "-f", "json", "-o", "OUT"],
    "scan of a checkpoint to a file": ["scan", "CHECKPOINT", "--top", "0", "-f", "json", "-o", "OUT"],
    "diff to a file": ["diff", "CHECKPOINT", "OTHER", "--top", "0", "-o", "OUT"],
    "diff, json to a file": ["diff", "CHECKPOINT", "OTHER", "--top", "0", "-f", "json", "-o", "OUT"],
    "compare, markdown": ["compare", "GOOD", "RUN", "-f", "markdown", "--weights"],
    "compare, html": ["compare", "GOOD", "RUN", "-f", "html", "--weights", "-o", "OUT"],
    "triage, html": ["triage", "ROOT", "-j", "1", "-f", "html", "-o", "OUT"],
    "compare to a file": ["compare", "GOOD", "RUN", "-o", "OUT"],
    "compare, json to a file": ["compare", "GOOD", "RUN", "-f", "json", "--weights", "-o", "OUT"],
    "triage, markdown": ["triage", "ROOT", "-j", "1", "-f", "markdown"],
    "triage to a file": ["triage", "ROOT", "-j", "1", "-o", "OUT"],
    "triage, csv to a file": ["triage", "ROOT", "-j", "1", "-f", "csv", "-o", "OUT"],
    "triage, json to a file": ["triage", "ROOT", "-j", "1", "-f", "json", "-o", "OUT"],
}
WORDS = ("alice", "alice.doe", "secret-client", "secretproject", "gpu-node-17", "4711815")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted.make(tmp_path_factory.mktemp("planted"))


def output(command: list[str], run: Path, out: Path) -> str:
    """Return everything that a command wrote, to the screen and into its file, archives unpacked."""
    held = {"RUN": run, "OUT": out, "ROOT": run.parent.parent, "GOOD": run.parent / "good"}
    held |= {"CHECKPOINT": run / "checkpoint-6", "OTHER": run / "checkpoint-9"}
    words = [str(held.get(word, word)) for word in command]
    done = CliRunner().invoke(main, words)
    assert done.exit_code in {0, 1}, done.output
    return done.output.replace(str(out), "") + "".join(_content(out))


def _content(path: Path) -> Iterator[str]:
    if not path.exists():
        return
    if not zipfile.is_zipfile(path):
        yield path.read_text()
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield name
            yield archive.read(name).decode()


def spellings(value: str) -> Iterator[str]:
    """Yield a value as outputs may write it: plain, as JSON, cleaned, without its line breaks."""
    yield value
    yield json.dumps(value)[1:-1]
    yield quote(value, safe="")
    # The first four characters hold the user's name, the last ones may be filled up.
    yield base64.b64encode(f"user:{value}".encode()).decode()[8:-4]
    yield from (line for line in value.splitlines() if len(line) > 12 and "PRIVATE" not in line)


@pytest.mark.parametrize("command", [*SHOWN.values(), *SHARED.values()], ids=[*SHOWN, *SHARED])
def test_no_secret_gets_out(command: list[str], run: Path, tmp_path: Path) -> None:
    """Planted in logs, configurations, scripts, paths, metric and tensor names: absent, whatever is asked for."""
    text = output(command, run, tmp_path / "out")

    assert [name for name, value in (*SECRETS, *BY_NAME) for s in spellings(value) if s in text] == []


@pytest.mark.parametrize("command", SHARED.values(), ids=SHARED)
def test_nobody_is_named_in_what_is_passed_on(command: list[str], run: Path, tmp_path: Path) -> None:
    text = output(command, run, tmp_path / "out")
    found = [name for name, value in IDENTITIES for s in spellings(value) if s in text]

    assert found == []
    assert [word for word in WORDS if re.search(rf"(?<![a-z]){word}(?![a-z])", text, re.IGNORECASE)] == []


def test_the_secrets_are_really_in_the_run(run: Path) -> None:
    """The tests above would fail without masking: what they look for is read and would be shown."""
    from forensics.investigate import investigate
    from forensics.report import json as page

    text = page.render(investigate(run))

    assert sum(value in text for _, value in SECRETS) >= 5
    assert sum(value in text for _, value in IDENTITIES) >= 5


def test_a_masked_report_says_what_is_not_masked(run: Path, tmp_path: Path) -> None:
    assert "Not masked: metric names" in output(SHARED["markdown"], run, tmp_path / "out")
    assert "Not masked: metric names" in output(SHARED["html"], run, tmp_path / "out")
    assert "Not masked" not in output(SHOWN["markdown, not redacted"], run, tmp_path / "out")


HOSTILE = (
    "\x1b[2J\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;http://evil.invalid/\x1b\\click\x1b]8;;\x1b\\",
    "\x9b31mC1",
    "a\r\nb: FAKE FINDING", "\u202egnp.exe", "zero\u200bwidth", "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>', "[x](javascript:alert(1))", "![](http://evil.invalid/p.png)",
    "| a | b |\n|---|---|", "`code` ``` *b* _i_ # h", "=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1+1", "\t=1",
    "{{7*7}} ${7*7} {% raw %}", "e\u0301\u0301\u0301" * 50, "</title></style></script><!--", "\u2028line",
    "@everyone #1",
    "__proto__", "constructor", "A" * 100_000, "",
)  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose metric names, tensor names, log lines and settings are all hostile."""
    run = tmp_path_factory.mktemp("hostile") / "runs" / "bad"
    run.mkdir(parents=True)
    good = run.parent / "good"
    good.mkdir()
    history = [{"step": i, "loss": 1.0 if i < 6 else 0.0, **dict.fromkeys(HOSTILE, 0.5)} for i in range(1, 12)]
    (run / "trainer_state.json").write_text(json.dumps({"global_step": 11, "log_history": history}))
    lines = [f"RuntimeError: {name}" for name in HOSTILE]
    trace = ["Traceback (most recent call last):", '  File "x.py", line 1, in f', *lines]
    (run / "train.log").write_text("\n".join([*lines, *trace]), errors="surrogatepass")
    (run / "config.json").write_text(json.dumps({"model_type": HOSTILE[7], "torch_dtype": HOSTILE[0]}))
    (run / "ds_config.json").write_text(
        json.dumps({"zero_optimization": {"stage": HOSTILE[8]}, "fp16": {"enabled": HOSTILE[9]}})
    )
    planted_names = {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in HOSTILE[:20]}
    head = json.dumps(planted_names).encode()
    weights = len(head).to_bytes(8, "little") + head + b"\0\0\xc0\x7f"
    (run / "model.safetensors").write_bytes(weights)
    for checkpoint in ("checkpoint-6", "checkpoint-9"):
        (run / checkpoint).mkdir()
        (run / checkpoint / "model.safetensors").write_bytes(weights)
    fine = [{**entry, "loss": 1.0} for entry in history]
    (good / "trainer_state.json").write_text(json.dumps({"global_step": 11, "log_history": fine}))
    (good / "config.json").write_text(json.dumps({"model_type": HOSTILE[8], "torch_dtype": HOSTILE[9]}))
    return run


@pytest.mark.parametrize("command", [*SHOWN.values(), *SHARED.values()], ids=[*SHOWN, *SHARED])
def test_no_control_character_gets_through(command: list[str], hostile: Path, tmp_path: Path) -> None:
    """No escape sequence, no direction override, no zero-width or line separator but our own line feed."""
    text = output(command, hostile, tmp_path / "out")
    ours = text.replace("\u2060", "")  # the word joiner by which Markdown stops autolinks

    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", ours) == []


def test_no_markup_of_the_run_is_live_in_the_page(hostile: Path, tmp_path: Path) -> None:
    """The page has exactly its own elements: two scripts, one island, one drawing of paths, no frame, no handler."""
    text = output(SHARED["html"], hostile, tmp_path / "out")
    island = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)

    assert island is not None
    assert len(re.findall(r"<script", text)) == 3
    assert len(re.findall(r"</script", text)) == 3
    assert re.findall(r"<(?:img|iframe|object|embed|link|base|form)\b", text) == []
    drawings = re.findall(r"<svg\b.*?</svg>", text, re.DOTALL)
    assert len(drawings) == text.count("<svg")
    assert all(set(re.findall(r"<(\w+)", drawing)) <= {"svg", "path"} for drawing in drawings)
    assert not re.search(r"<[^>]*\son\w+\s*=", re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))
    assert "49" not in re.findall(r"model_type[^<]*", text)
    assert not set("<>&'") & set(island[1])


def test_the_page_refuses_what_is_not_its_own(hostile: Path, tmp_path: Path) -> None:
    """The policy names the hashes of the scripts and styles that are there, and allows nothing else."""
    import base64
    import hashlib
    import html

    text = output(SHARED["html"], hostile, tmp_path / "out")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    allowed = set(re.findall(r"'sha256-([^']*)'", html.unescape(policy[1])))
    bodies = re.findall(r"<(?:script|style)>(.*?)</(?:script|style)>", text, re.DOTALL)

    assert "default-src 'none'" in html.unescape(policy[1])
    assert {base64.b64encode(hashlib.sha256(b.encode()).digest()).decode() for b in bodies} == allowed
    assert re.findall(r"(?:src|href)=\"(?!#|https://github\.com/|https://|#)", text) == []


def test_no_markdown_of_the_run_is_live_in_the_issue(hostile: Path, tmp_path: Path) -> None:
    """No link, image, mention, reference, table row, heading or HTML of the run's own."""
    text = output(SHARED["markdown"], hostile, tmp_path / "out")
    outside = re.sub(r"`[^`\n]*`", "", text)

    assert "](javascript:" not in outside
    assert "![](" not in outside
    # A backslash takes the life out of a bracket, unless it is taken out of life itself.
    assert re.search(r"(?<!\\)(?:\\\\)*<(?:script|img)", outside) is None
    assert "@everyone" not in outside
    assert "@SUM" not in outside
    assert "evil.invalid/p" not in outside or ":\u2060//" in outside
    assert [line for line in text.splitlines() if line.startswith("b: FAKE")] == []


@pytest.mark.parametrize("command", [SHOWN["timeline, csv"], SHOWN["scan, csv"]], ids=["timeline", "tensors"])
def test_no_cell_is_a_formula(command: list[str], hostile: Path, tmp_path: Path) -> None:
    rows = list(csv.reader(io.StringIO(output(command, hostile, tmp_path / "out"))))
    cells = [cell for row in rows for cell in row]
    numbers = re.compile(r"-?(?:[0-9.]+(?:e[+-]?[0-9]+)?|inf|nan)", re.IGNORECASE)

    assert len({len(row) for row in rows}) == 1
    assert [c for c in cells if c.startswith(("=", "+", "-", "@", "\t", "|", "%")) and not numbers.fullmatch(c)] == []
