"""What agents use: the skill file, the tools of the protocol, the server itself."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from forensics import catalog
from forensics.cli import main
from forensics.commands import tools
from runs import FOUNDING, HEALTHY


def skill() -> str:
    done = CliRunner().invoke(main, ["skill"])
    assert done.exit_code == 0
    return done.output


def test_the_skill_file_has_a_head_and_names_what_exists() -> None:
    """Its front matter is YAML with name and description, and every command that it tells of is one."""
    _, head, body = skill().split("---\n", 2)
    told = yaml.safe_load(head)

    assert told["name"] == "medforensics"
    assert len(told["description"]) < 1024
    commands = set(re.findall(r"`medforensics (\w+)", body))
    assert {"analyze", "compare", "timeline", "explain"} <= commands <= set(main.commands)


def test_the_keys_that_the_skill_names_are_in_the_report() -> None:
    """What an agent is told to read stands in the JSON schema."""
    schema = (Path(__file__).parent.parent / "docs" / "report.schema.json").read_text()
    for key in re.findall(r"`([a-z_]+)(?:[\[.][^`]*)?`", skill().split("---\n", 2)[2]):
        assert f'"{key}"' in schema or key in {"established", "likely", "possible"}, key


def test_analyze_answers_in_bounds() -> None:
    text = tools.analyze(str(FOUNDING.run))

    assert "ds-zero12-comm-corruption" in text
    assert len(text) <= tools.MAX_CHARS


def test_the_other_tools_answer() -> None:
    assert tools.timeline(str(FOUNDING.run), "loss").splitlines()[0].startswith("step,entry,metric")
    assert "deepspeed" in tools.compare(str(HEALTHY[0].run), str(FOUNDING.run)).lower()
    assert tools.explain("DIST001").startswith("# DIST001")
    assert tools.explain("loss-to-zero").startswith("# loss-to-zero")
    assert "explain NAME" in tools.explain("nan")


@pytest.mark.parametrize(
    ("tool", "given"), [(tools.analyze, "/no/such/run"), (tools.explain, "zebra"), (tools.timeline, "/no/such/run")]
)
def test_an_error_is_one_line(tool: Callable[[str], str], given: str) -> None:
    text = tool(given)

    assert text.startswith("medforensics: ")
    assert "\n" not in text


def test_a_long_answer_is_cut_and_says_so() -> None:
    text = tools.bounded(lambda: "x" * 100_000)()

    assert len(text) == tools.MAX_CHARS
    assert text.endswith("[cut: 100,000 characters in all]")


def test_secrets_do_not_pass() -> None:
    assert "hf_" not in tools.bounded(lambda: "token hf_abcdefghijklmnopqrstuvwxyzABCDEFGH")()


@pytest.mark.filterwarnings("default")
def test_the_server_speaks_the_protocol() -> None:
    """A client of the official package finds four read-only tools, and gets an answer; in a process of its own."""
    pytest.importorskip("mcp")
    code = """
import asyncio, sys
from mcp import Client, StdioServerParameters, stdio_client

async def talk():
    server = StdioServerParameters(command=sys.executable, args=["-m", "forensics", "mcp"])
    async with Client(stdio_client(server)) as client:
        listed = await client.list_tools()
        print(sorted(tool.name for tool in listed.tools))
        print(all(tool.annotations.read_only_hint for tool in listed.tools))
        said = await client.call_tool("explain", {"name": "DIST001"})
        print(said.content[0].text.splitlines()[0])

asyncio.run(talk())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)

    lines = done.stdout.splitlines()
    assert lines[0] == str(sorted(tool.__name__ for tool in tools.TOOLS)), done.stderr
    assert lines[1] == "True"
    assert lines[2].startswith("# DIST001")


def test_every_rule_can_be_explained() -> None:
    for rule in catalog.rules():
        assert rule.code in tools.explain(rule.code)
