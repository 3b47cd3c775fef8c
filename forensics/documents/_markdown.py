"""A text as people paste it into an issue, taken apart: fenced blocks, quotes, launch lines, bare configurations.

What is recognised becomes a piece of its own and is blanked where it stood; the rest, prose and logs together,
stays one text with the line numbers it had, so that a log that the author cut into several fences is read as one.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from json import JSONDecoder

from forensics.deferred.patterns import expression
from forensics.documents._account import account_in
from forensics.documents._blocks import Block, dedented, is_configuration, is_mapping, name_of, recognised
from forensics.documents._tables import take_tables
from forensics.model import Skip
from forensics.plugin import Piece
from forensics.readers.yaml_config import looks_like_arguments

_FENCE = expression(
    r"^[ \t]{0,16}(?:[-*+]\s{1,4}|\d{1,3}\.\s{1,4})?(?P<mark>`{3,}|~{3,}(?!~*\^))(?P<info>[^`]*)(?P<end>`{3,})?\s*$"
)
_QUOTE = expression(r"^ {0,3}>[ \t]?")
_TAG = expression(
    r"</?(?:details|summary|p|br|hr|b|i|em|strong|pre|code|div|span|h[1-6]|ul|ol|li|a|img|kbd|sub|sup|blockquote)"
    r"(?:\s[^<>]{0,400})?/?>",
    re.IGNORECASE,
)
_PROMPT = (
    r"(?:\([\w.\-]{1,40}\)\s{0,4})?"
    r"(?:[\w.\-]{1,40}@[\w.\-]{1,60}:?\S{0,80}[$#]\s{0,4}|[$#+>%!]\s{0,4}|\[[^\]]{1,80}\][$#]\s{0,4})?"
)
_PROGRAM = (
    r"torchrun|deepspeed|accelerate\s{1,4}launch|llamafactory-cli|swift|megatron|axolotl|tune|xtuner|nemo|srun|mpirun"
    r"|pip3?|uv|conda|python[\d.]{0,5}|bash|sh"
)
MOST_OF_A_COMMAND = 65_536
_COMMAND = expression(
    rf"^(?:[^`]{{0,200}}`)?\s{{0,16}}{_PROMPT}(?P<command>"
    r"(?:(?:export|nohup|sudo|time|env|exec)\s{1,4}|[A-Za-z_]\w{0,80}=\S{0,400}\s{1,4}){0,40}"
    rf"(?:[\w./~${{}}\-]{{0,200}}/)?(?:{_PROGRAM})\s{{1,4}}\S.{{0,{MOST_OF_A_COMMAND}}}|export\s{{1,4}}\w{{1,80}}=.{{0,4000}})$"
)
_ARGUMENTS = expression(r"\s--?[A-Za-z]|\.py\b|\.ya?ml\b|\.sh\b|[\w.]=\S|^export |\binstall\b|\s-m\s")
_PROSE = expression(
    r"^\s{0,8}[\w./-]{1,40} (?:is|was|and|or|with|on|in|for|to|the|has|does|can|will|version)\b", re.IGNORECASE
)
_OPTION = expression(r"^\s{0,40}--?[A-Za-z][\w\-.]{0,80}(?:[ =]|\s*\\?$)")
_CODE = expression(r"(?<!`)`([^`\n]{4,4000})`(?!`)")
_CONTINUED = expression(r"\S\s*[\\^]\s*$")
OBJECT_CHARACTERS = 200_000
MOST_BLOCKS = 1_000
"""Configurations and programs of one text that are read as files; no text of 568 documents of first contact has 60."""
MOST_OBJECTS = 200
"""Lines that may begin an object are tried this often: each try reads on to the end of what it may be."""


def split(lines: Sequence[str], place: str = "line {}", title: str = "") -> Iterator[Piece | Skip]:
    """Yield the pieces of a text and, last, the rest of it as a log; a line of them is called `place`.

    A `title` that does not stand in the text belongs to what its author says.
    """
    account = account_in([*lines, "", f"# {title}"] if title else lines)
    for name, said in account._asdict().items():
        if said:
            yield Piece(f"{name}.account", "\n".join(said), place)
    rest = _without_quotes(lines)
    yield from _told_apart(rest, list(_fenced(rest)), place)
    _tables(rest)
    rest = [_TAG.sub("", line) if "<" in line else line for line in rest]
    tables = take_tables(rest)
    if any(tables):
        yield Piece("tables.csv", "\n".join(tables), place)
    yield from _objects(rest, place)
    yield from islice(_mappings(rest, place), MOST_BLOCKS)
    commands = _commands(rest)
    if any(commands):
        yield Piece("launch.sh", "\n".join(commands), place)
    if any(line.strip() for line in rest):
        yield Piece("rest.log", "\n".join(rest), place)


def _told_apart(rest: list[str], blocks: Sequence[Block], place: str) -> Iterator[Piece | Skip]:
    """Yield the blocks that are files of their own, and blank them; behind MOST_BLOCKS of them all is for the log."""
    count = 0
    for number, block in enumerate(blocks):
        if count == MOST_BLOCKS:
            yield Skip(
                f"{len(blocks) - number:,} further blocks", "read as a log only: so many hold files of their own"
            )
            return
        found = recognised(block)
        if found is not None:
            count += 1
            yield _piece(found[0], block.first, found[1], place)
            _blank(rest, block.first, len(block.lines))


def _piece(name: str, first: int, text: str, place: str) -> Piece:
    return Piece(name, text, place, first)


def _blank(lines: list[str], first: int, count: int) -> None:
    lines[first - 1 : first - 1 + count] = [""] * count


def _without_quotes(lines: Sequence[str]) -> list[str]:
    """Take the marks of quotes away, and quoted lines that the text itself has: a reply repeats what it answers."""
    if not any(">" in line for line in lines):
        return list(lines)
    own = {line.strip() for line in lines if not _QUOTE.match(line)}
    kept: list[str] = []
    fenced = ""
    for line in lines:
        mark = _FENCE.match(line)
        if mark and not mark["end"]:
            fenced = "" if fenced else mark["mark"]
        text = line
        while not fenced and (quote := _QUOTE.match(text)):
            text = text[quote.end() :]
        kept.append("" if text is not line and text.strip() in own else text)
    return kept


def _fenced(lines: list[str]) -> Iterator[Block]:
    """Yield the blocks between fences, and blank the fences; one that is never closed reaches to the end."""
    start, mark, language = 0, "", ""
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if not mark:
            if fence is not None:
                inside = fence["info"].strip()
                language = inside.lower() if re.fullmatch(r"[\w.+\-]{0,20}", inside) else ""
                # Code on the line of the fence itself, as a hurried author leaves it.
                lines[number - 1] = "" if language or not inside else inside
                start, mark = (number if lines[number - 1] else number + 1), "" if fence["end"] else fence["mark"]
                if fence["end"] and inside:
                    yield Block(number, "", (lines[number - 1],))
        elif fence is not None and fence["mark"].startswith(mark) and not fence["info"].strip():
            lines[number - 1] = ""
            yield Block(start, language, tuple(lines[start - 1 : number - 1]))
            mark = ""
        elif line.rstrip().endswith(mark) and len(line.strip()) > len(mark):
            lines[number - 1] = line.rstrip()[: -len(mark)]
            yield Block(start, language, tuple(lines[start - 1 : number]))
            mark = ""
    if mark and start <= len(lines):
        yield Block(start, language, tuple(lines[start - 1 :]))


def _tables(lines: list[str]) -> None:
    """Put rows with bars in place of tables in HTML, from the line where the table begins; it has lines enough."""
    start = -1
    for number, line in enumerate(lines):
        lowered = line.lower()
        start = number if start < 0 and "<table" in lowered else start
        if start >= 0 and "</table" in lowered:
            from forensics.documents._html import tables_in

            rows = [row for table in tables_in("\n".join(lines[start : number + 1])) for row in table]
            room = number + 1 - start
            lines[start : number + 1] = [*rows, *[""] * room][:room]
            start = -1


def _objects(lines: list[str], place: str) -> Iterator[Piece]:
    """Yield configurations in JSON that stand in the text without a fence."""
    tried = number = 0
    while number < len(lines) and tried < MOST_OBJECTS:
        number += 1
        if not lines[number - 1].lstrip().startswith("{") or '"' not in "".join(lines[number - 1 : number + 1]):
            continue
        tried += 1
        text = "\n".join(lines[number - 1 : number + 2000])[:OBJECT_CHARACTERS].lstrip()
        try:
            value, end = JSONDecoder(strict=False).raw_decode(text)
        except (ValueError, RecursionError):
            continue
        count = text[:end].count("\n") + 1
        if isinstance(value, dict) and (is_configuration(value) or count > 2):
            yield _piece(name_of(value), number, text[:end], place)
            _blank(lines, number, count)
            number += count - 1


def _mappings(lines: list[str], place: str) -> Iterator[Piece]:
    """Yield runs of lines that are training arguments in YAML without a fence; empty lines may part its sections."""
    number = 0
    while number < len(lines):
        end = number
        while end < len(lines) and (_is_yaml(lines[end]) or (end > number and not lines[end].strip())):
            end += 1
        text = dedented(lines[number:end]).rstrip() if end > number else ""
        if (
            text
            and is_mapping(text.splitlines(), named=False)
            and looks_like_arguments(text.encode("utf-8", "replace"))
        ):
            yield _piece("block.yaml", number + 1, text, place)
            _blank(lines, number + 1, end - number)
        number = max(end, number + 1)


def _is_yaml(line: str) -> bool:
    """Tell whether a line can stand in YAML: a comment, a key at the margin or something below one."""
    return bool(line) and (
        line.startswith("#") or (line[0] in " \t" and bool(line.strip())) or is_mapping([line], named=True)
    )


def _commands(lines: list[str]) -> list[str]:
    """Return the command lines of a text at their places, and blank them in the text.

    A command goes on where its line ends with a backslash, and where the next line begins with an option: copied
    commands often have lost the one or the other.
    """
    found = [""] * len(lines)
    number = 0
    while number < len(lines):
        end = number + 1
        while end < len(lines) and _goes_on(lines[end - 1], lines[end]):
            end += 1
        if end == number + 1 and not lines[number]:
            number = end
            continue
        parts = [line.strip().rstrip("\\^").strip() for line in lines[number:end]]
        match = _command_in(" ".join(parts)[:MOST_OF_A_COMMAND])
        if match:
            parts[0] = parts[0][match.start("command") :] or "\\"
            found[number:end] = [f"{part.strip('`')} \\" for part in parts]
            found[end - 1] = found[end - 1][:-2]
            _blank(lines, number + 1, end - number)
        elif end == number + 1 and "`" in lines[number]:
            named = [code for code in _CODE.findall(lines[number]) if _command_in(code)]
            found[number] = " ; ".join(named)
        number = end
    return found


def _command_in(text: str) -> re.Match[str] | None:
    """Return the command that a text ends with; None when it is prose, or code in the middle of prose."""
    match = _COMMAND.match(text)
    if match is None or not _ARGUMENTS.search(match["command"]) or _PROSE.match(match["command"]):
        return None
    return match if "`" not in match["command"].rstrip("` ") else None


def _goes_on(line: str, after: str) -> bool:
    if ("\\" in line or "^" in line) and _CONTINUED.search(line):
        return True
    return "-" in after and bool(line.strip()) and bool(_OPTION.match(after))
