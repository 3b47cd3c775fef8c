"""A Jupyter notebook: what its cells printed as one console, each cell of code as the script that it is.

Saved, minified, of format 3 or 4. The tables of the Trainer's notebook callback (transformers, `utils/notebook.py`)
and of fastai, and those that were printed with bars, are read as comma-separated values; the `TrainOutput` that
`train()` returns is a summary of the run and becomes settings, never a point of a curve.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from forensics.deferred.patterns import expression
from forensics.documents._tables import take_tables
from forensics.formats.lenient_json import load
from forensics.model import Artifact, Skip
from forensics.plugin import Piece, document
from forensics.storage.file import File

_MARKS = (b'"cells"', b'"worksheets"', b'"cell_type"', b'"nbformat"')
_SHELL_LINE = expression(r"^\s{0,40}[!%]{1,2}\s{0,4}(?:sx\s|system\s|bash\b|sh\b)?(?=\S)")
_SHELL_CELL = expression(r"^\s*%%(?:bash|sh|shell|script\s+bash)\b[^\n]*")
_FILE_CELL = expression(r"^\s*%%writefile\s+(?:-a\s+)?(\S{1,200})[^\n]*")
_ENVIRONMENT = expression(r"^\s{0,40}%(?:set_)?env\s+([A-Za-z_]\w{0,80})[\s=]\s*(\S.{0,400})$")
_SUMMARY = expression(r"TrainOutput\(global_step=\d{1,15}, training_loss=[^,()\s]{1,40}, metrics=(\{[^{}]{0,4000}\})\)")
PLACE = "output line {}"
MOST_CELLS, MOST_FILES = 20_000, 1_000
"""Cells, and files that they write (`%%writefile`); no notebook of first contact has more than 63 cells."""


def _sniff(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") and any(mark in head for mark in _MARKS)


@document("notebook", match=(r"(?i)\.ipynb$", r"(?:^|/)stdin\.log$"), sniff=_sniff, limit="json_bytes")
def notebook(artifact: Artifact) -> Iterator[Piece | Skip]:
    """Jupyter notebooks: printed logs, tables of the Trainer's callback, tracebacks; cells as scripts and commands."""
    with File(artifact.location) as file:
        found = load(file, artifact.limits)
    if found.broken_at is not None:
        where = f"breaks off at byte {found.broken_at:,} of {found.size:,}"
        yield Skip(artifact.path, f"{where}; what stands before was read")
    cells = [(number, cell) for number, cell in enumerate(_cells(found.value)) if cell.get("cell_type") == "code"]
    if len(cells) > MOST_CELLS:
        yield Skip(artifact.path, f"its last {len(cells) - MOST_CELLS:,} cells were not read")
    cells = cells[:MOST_CELLS]
    yield from _scripts(artifact, cells)
    console = [line for _, cell in cells for output in _mappings(cell.get("outputs")) for line in _printed(output)]
    for number, line in enumerate(console, 1):
        if summary := _SUMMARY.search(line):
            yield Piece("all_results.json", "\n" * (number - 1) + _as_json(summary[1]), PLACE)
            console[number - 1] = ""
    tables = take_tables(console)
    if any(tables):
        yield Piece("tables.csv", "\n".join(tables), PLACE)
    if any(line.strip() for line in console):
        yield Piece("console.log", "\n".join(console), PLACE)


def _scripts(artifact: Artifact, cells: Sequence[tuple[int, Mapping[str, object]]]) -> Iterator[Piece | Skip]:
    files = 0
    for number, cell in cells:
        source = _text(cell.get("source", cell.get("input")))
        is_file = _FILE_CELL.match(source) is not None
        files += is_file
        if not is_file or files <= MOST_FILES:
            yield from _sources(source, number)
    if files > MOST_FILES:
        yield Skip(artifact.path, f"{files - MOST_FILES:,} files that its cells write were not read")


def _cells(value: object) -> Iterator[Mapping[str, object]]:
    """Yield the cells of a notebook: at the top since format 4, in worksheets before."""
    if not isinstance(value, Mapping):
        return
    for group in (value, *_mappings(value.get("worksheets"))):
        yield from _mappings(group.get("cells"))


def _mappings(value: object) -> Iterator[Mapping[str, object]]:
    return (each for each in value if isinstance(each, Mapping)) if isinstance(value, list) else iter(())


def _text(value: object) -> str:
    """Return a text that was saved as one string or as a list of lines."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _sources(source: str, number: int) -> Iterator[Piece]:
    """Yield what a cell is: a file that it writes, a shell script, or Python with lines for the shell in it."""
    place = f"cell {number} line {{}}"
    if match := _FILE_CELL.match(source):
        name = re.sub(r"[^\w.\-]", "_", match[1].rpartition("/")[2])
        yield Piece(f"{number}/{name}", "\n" * match[0].count("\n") + source[match.end() :], place)
        return
    if match := _SHELL_CELL.match(source):
        yield Piece("launch.sh", "\n" * match[0].count("\n") + source[match.end() :], place, known=True)
        return
    commands, program = _told_apart(source.split("\n"))
    if any(commands):
        yield Piece("launch.sh", "\n".join(commands), place, known=True)
    if any(line.strip() for line in program):
        yield Piece("cell.py", "\n".join(program), place, known=True)


def _told_apart(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the lines for the shell and the lines of Python, each at its own number."""
    commands, program = [""] * len(lines), list(lines)
    going = False
    for index, line in enumerate(lines):
        match = _SHELL_LINE.match(line)
        if not going and match is None:
            continue
        variable = _ENVIRONMENT.match(line)
        commands[index] = f"export {variable[1]}={variable[2]}" if variable else line[match.end() if match else 0 :]
        # A `pass` keeps an `if` before it a whole statement.
        program[index] = "" if going else line[: len(line) - len(line.lstrip())] + "pass"
        going = line.rstrip().endswith("\\")
    return commands, program


def _printed(output: Mapping[str, object]) -> Iterator[str]:
    """Yield the lines of one output as a console would have shown them."""
    frames = output.get("traceback")
    if isinstance(frames, list):
        yield from "\n".join(_text(frame) for frame in frames).split("\n")
        return
    if output.get("output_type") == "stream":
        yield from _text(output.get("text")).split("\n")
        return
    data = output.get("data", output)
    held = data if isinstance(data, Mapping) else {}
    page = _text(held.get("text/html", held.get("html")))
    if "<table" in page:
        from forensics.documents._html import tables_in

        for table in tables_in(page):
            yield from ("", *table, "")
        return
    plain = _text(held.get("text/plain", held.get("text")))
    # A dictionary that is shown is one entry; IPython breaks it over lines.
    if plain.startswith(("{", "TrainOutput(")):
        yield " ".join(line for part in plain.split("\n") if (line := part.strip()))
    else:
        yield from plain.split("\n")


def _as_json(dictionary: str) -> str:
    """Return a printed Python dictionary of names and numbers as JSON; over lines, as no entry of a log is."""
    dictionary = dictionary.replace(", ", ",\n").replace("{", "{\n")
    return re.sub(r"\binf\b", "Infinity", re.sub(r"\bnan\b", "NaN", dictionary.replace("'", '"')))
