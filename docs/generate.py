"""Write the pages that are made from code: rules, formats, coverage, command line; `--check` fails on a stale one."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from forensics import catalog
from forensics.cli import main as main_group
from forensics.plugin import Document, Reader
from forensics.report import endings, explain
from forensics.rules._issue_files import load
from forensics.rules.dist001_ds_zero12_comm_corruption import RACES

DOCS = Path(__file__).parent
COMPLETION = """## Shell completion

```sh
eval "$(_MEDFORENSICS_COMPLETE=bash_source medforensics)"    # bash, in ~/.bashrc
eval "$(_MEDFORENSICS_COMPLETE=zsh_source medforensics)"     # zsh, in ~/.zshrc
_MEDFORENSICS_COMPLETE=fish_source medforensics | source     # fish
```
"""
HELP = ["-h", "--help"]
TESTS = DOCS.parent / "tests"


def pages() -> dict[Path, str]:
    """Return the text of every generated page by path."""
    rules = catalog.rules()
    made = {DOCS / "rules" / f"{rule.code}.md": explain.render(rule) + "\n" for rule in rules}
    made[DOCS / "rules" / "README.md"] = _index()
    made[DOCS / "formats.md"] = _formats()
    made[DOCS / "endings.md"] = endings.render(rules)
    made[DOCS / "coverage.md"] = _coverage()
    made[DOCS / "symptoms.md"] = _symptoms()
    made[DOCS / "cli.md"] = _cli()
    return made


def _index() -> str:
    rows = [
        f"| [{rule.code}]({rule.code}.md) | `{rule.name}` | "
        f"{'mechanism' if rule.mechanism else 'benign' if rule.benign else 'cause'} | {rule.title} |"
        for rule in catalog.rules()
    ]
    head = "# Rules\n\nMade by `python docs/generate.py` from the rules themselves.\n\n"
    return head + "| code | name | kind | in one sentence |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _formats() -> str:
    known: list[Reader | Document] = [*catalog.readers(), *catalog.documents()]
    rows = [
        f"| {reader.name} | {_patterns(reader)} | {'yes' if reader.sniff else 'no'} | {_first_line(reader.doc)} "
        f"| {reader.tested or '-'} |"
        for reader in known
    ]
    head = "# Formats\n\nMade by `python docs/generate.py` from the readers themselves. A document (the last"
    head += " rows) is taken apart, and each part of it is read as the file that it is.\n\n"
    columns = "| reader | file names | by content | what it reads | tried with files of |\n|---|---|---|---|---|\n"
    return head + columns + "\n".join(rows) + "\n"


def _cli() -> str:
    """Return what `--help` says, of the program and of every command."""
    parts = ["# Command line\n\nMade by `python docs/generate.py` from the commands themselves.\n"]
    for name in ("", *sorted(main_group.commands)):
        words = ["medforensics", *name.split()]
        command = main_group.commands[name] if name else main_group
        with click.Context(command, info_name=" ".join(words), terminal_width=100, help_option_names=HELP) as context:
            parts.append(f"## {' '.join(words)}\n\n```text\n{command.get_help(context)}\n```\n")
    parts.append(COMPLETION)
    return "\n".join(parts)


def _coverage() -> str:
    """Return the table of what is known to go wrong: where, as far as it is known, by which tests and sources."""
    rules = catalog.rules()
    tests, ranges = _tests_of({rule.name for rule in rules}), {issue["name"]: _ranges(issue) for _, issue in load()}
    ranges["ds-zero12-comm-corruption"] = _range(asdict(RACES))
    rows = []
    for rule in rules:
        links = " ".join(f"[{number}]({url})" for number, url in enumerate(rule.references, 1))
        named = " ".join(f"`{test}`" for test in tests[rule.name])
        where = ranges.get(rule.name, "") or "any release"
        rows.append(
            f"| [{rule.code}](rules/{rule.code}.md) `{rule.name}` | {rule.title} | {where} | {named} | {links} |"
        )
    head = (
        f"# Coverage\n\n{len(rules)} things that go wrong, or look so, and who knows them here. Made by `python"
        " docs/generate.py` from the rules and the tests. Beside an end of a range stands how it is known;"
        " [ranges found again](ranges.md) shows the commits.\n\n"
    )
    return (
        head
        + "| rule | what goes wrong | releases | tests | upstream |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def _ranges(issue: Mapping[str, Any]) -> str:
    return "; ".join(_range(table) for table in issue.get("affected", ()))


def _range(table: Mapping[str, Any]) -> str:
    ends = [f"{word}: {table[word]}" for word in ("first", "fixed") if table.get(word)]
    return f"`{table['package']}{table['versions']}`" + (f" ({', '.join(ends)})" if ends else "")


def _symptoms() -> str:
    """Return the table of symptoms and links, each with what can stand behind it."""
    rules = catalog.rules()
    mechanisms = [rule.name for rule in rules if rule.mechanism]
    found = sorted({name for rule in rules for name in rule.explains} | {d.name for d in catalog.detectors()})
    rows = []
    for name in (*(name for name in found if name not in mechanisms), *mechanisms):
        behind = [f"[{rule.name}](rules/{rule.code}.md)" for rule in rules if name in rule.explains]
        kind = "mechanism" if name in mechanisms else "symptom"
        rows.append(f"| `{name}` | {kind} | {len(behind)} | {', '.join(behind) or '-'} |")
    head = (
        "# Symptoms and causes\n\nWhat can stand behind what, made by `python docs/generate.py` from the rules. Each"
        " pair has a test in `tests/rules/test_pairs.py`: the cause's own sign alone makes it at least possible.\n\n"
    )
    return head + "| seen | kind | | what can stand behind it |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _tests_of(names: set[str]) -> dict[str, list[str]]:
    """Return the tests of each rule: the files that name it, and for data entries the one that walks all branches."""
    files = sorted(each for names in ("test_*.py", "rows_of_*.py") for each in (TESTS / "rules").glob(names))
    texts = {path.relative_to(DOCS.parent).as_posix(): path.read_text(encoding="utf-8") for path in files}
    entries = {file.removesuffix(".toml").replace("_", "-") for file, _ in load()}
    walked = "tests/rules/test_known_issues.py"
    return {
        name: [
            path
            for path, text in texts.items()
            if f'"{name}"' in text or name.replace("-", "_") in text or (path == walked and name in entries)
        ]
        for name in names
    }


def _patterns(reader: Reader | Document) -> str:
    return " ".join(f"`{pattern.pattern}`" for pattern in reader.match).replace("|", r"\|") or "-"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def main() -> int:
    """Write the pages, or compare them; return the exit code."""
    made = pages()
    known = set((DOCS / "rules").glob("*.md"))
    stale = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    orphans = sorted(known - set(made))
    if "--check" in sys.argv[1:]:
        for path in [*stale, *orphans]:
            sys.stderr.write(f"stale: {path.relative_to(DOCS.parent)} (run `python docs/generate.py`)\n")
        return 1 if stale or orphans else 0
    for path in orphans:
        path.unlink()
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
