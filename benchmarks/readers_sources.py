"""Public notebooks, issues and logs: which share is read whole, against a count that knows nothing of the readers.

    python benchmarks/readers_sources.py                # the table, as last measured
    python benchmarks/readers_sources.py DIR            # measured again; DIR/BLOB is each file
    python benchmarks/readers_sources.py DIR --write    # and kept in benchmarks/readers_sources.jsonl

readers_sources.jsonl lists the files: repository, path (or number of the issue) and Git blob; they are not in this
repository. Those called unseen were drawn late; readers changed afterwards, but for others.
Of an issue it is the text that a search engine for issues gives, not always the whole thread.

What is counted, with expressions alone: losses (rows of HTML tables that have a step or an epoch and a training loss,
what ends with `loss` before a number), options of commands, keys of YAML at the
margin, versions. A file is read whole when every loss is an entry, every option and key a setting, and no version is
missing. Nothing is judged.

Of texts that are no training logs it is how many series they give: none may be. Of those called unseen, found by the
names of files alone, the truth was written down before the first run; `first` is what that gave.

Of a file drawn by its name alone it is what an expression written for that file finds (`expression`, its one group the
number): it was written down before the first run, and a series must hold those very numbers.

Of a table it is the cells below a name with `loss`, of a bare column the lines. Of a log (read by the text reader) it
is the numbers with a fraction, or NaN, behind a word that ends with `loss`, in the last drawing of every line; best
losses, weights and factors are none.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from forensics.errors import ForensicsError
from forensics.investigate import read
from forensics.model import Artifact, Run, Samples
from forensics.readers.text_log import read_text

RECORD = Path(__file__).with_suffix(".jsonl")
_PRINTED = re.compile(
    r"(?i)(?P<name>[A-Za-z_/ ]{0,30}loss)['\"]?\s*[:=]\s*(?:tensor\()?(?:-?\d[\d.]*(?:e[-+]?\d+)?|nan|inf)(?![\w.])"
)
_LOGGED = re.compile(
    r"(?i)(?<![\w/.])(?P<name>[\w/.() -]{0,40}(?:loss[\w/]{0,20}|损失))\)?['\"]?"
    r"(?:\s*[:=|\uff1a]|(?: so far)? is)?\s*\[?(?:tensor\()?"
    r"(?:-?\d+\.\d+(?:e[-+]?\d+)?|nan\b|inf\b)"
)
_NO_LOSS = re.compile(r"(?i)best|factor|coef|mult|weight|loss.scale|final")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_OTHER = re.compile(r"(?i)val|eval|test|logging")
_OPTION = re.compile(r"(?m)^\s+--([A-Za-z][\w-]*)")
_KEY = re.compile(r"(?m)^([a-z][a-z_]+) ?: +\S")
_VERSION = re.compile(r"(?m)^[-*] `?[\w ]+`? version: \d|^(?:Python|PyTorch|CUDA) \d")
_RENAMED = frozenset({"base_model", "micro_batch_size", "num_epochs", "lr_scheduler", "optimizer", "datasets"})
"""Keys of axolotl that are kept under another name."""
_OF_THE_LAUNCHER = frozenset(
    {"nproc_per_node", "nnodes", "node_rank", "rdzv_endpoint", "rdzv_backend", "max_restarts", "tee", "num_gpus"}
)


@dataclass(frozen=True, slots=True)
class Source:
    """One public file, what was counted in it and what was read, as last measured."""

    kind: str
    repository: str
    path: str
    blob: str
    counted: dict[str, int] | None = None
    taken: dict[str, int] | None = None
    first: dict[str, int] | None = None
    expression: str | None = None

    @property
    def whole(self) -> bool:
        return self.counted is not None and self.counted == self.taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    listed = [Source(**json.loads(line)) for line in RECORD.read_text(encoding="utf-8").splitlines()]
    measured = [measure(source, given.folder / source.blob) for source in listed] if given.folder else listed
    print(table(measured))
    if given.write and given.folder:
        RECORD.write_text("".join(_line(source) for source in measured), encoding="utf-8")


def _line(source: Source) -> str:
    told = asdict(source)
    return (
        json.dumps(told if source.expression is not None else {k: v for k, v in told.items() if k != "expression"})
        + "\n"
    )


def measure(source: Source, path: Path) -> Source:
    """Count what the file holds and what is read of it; a file that is not there keeps what was measured before."""
    if not path.is_file():
        sys.stderr.write(f"{source.repository} {source.path}: no {path}\n")
        return source
    text = path.read_text(encoding="utf-8", errors="replace")
    if source.kind == "log":
        facts = list(read_text(Artifact(path.parent, path.name, path.stat().st_size, 0.0), processes=1))
        losses = [f for f in facts if isinstance(f, Samples) and re.search(r"loss", f.name, re.IGNORECASE)]
        return replace(source, counted=_in_log(text), taken={"losses": sum(len(block.values) for block in losses)})
    notebook = source.kind.startswith("notebook")
    if source.kind in _BY_NAME:
        return _measured_by_name(source, path, text)
    counted = _in_notebook(json.loads(text)) if notebook else _in_issue(text)
    named = path.with_suffix(".ipynb" if notebook else ".md")
    if not named.exists():
        named.symlink_to(path.name)
    try:
        run = read(named)
    except ForensicsError:
        return replace(source, counted=counted, taken=dict.fromkeys(counted, 0))
    return replace(source, counted=counted, taken=_taken(run, counted, () if notebook else _wanted(text)))


def _measured_by_name(source: Source, path: Path, text: str) -> Source:
    """Count and read a file that readers know by its name too."""
    named = path.with_name(f"{path.name[:8]}-{Path(source.path).name}")
    if not named.exists():
        named.symlink_to(path.name)
    try:
        samples = read(named).timeline.samples
    except ForensicsError:
        samples = ()
    if source.expression is not None:
        wanted = [float(number) for number in re.findall(source.expression, text)]
        told = [block for block in samples if len(block.values) == len(wanted)]
        found = any(np.allclose(block.values, wanted, rtol=1e-6, atol=0, equal_nan=True) for block in told)
        return replace(source, counted={"losses": len(wanted)}, taken={"losses": len(wanted) if found else 0})
    losses = sum(len(block.values) for block in samples if re.search(r"loss", block.name, re.IGNORECASE))
    taken = {"series": len(samples)} if source.kind == "no log" else {"losses": losses}
    return replace(source, counted=_BY_NAME[source.kind](text), taken=taken)


def _in_table(text: str) -> dict[str, int]:
    rows = [re.split(r"[,;\t]", line) for line in text.splitlines() if line.strip()]
    at = [index for index, name in enumerate(rows[0]) if re.search(r"loss|rmse", name, re.IGNORECASE)]
    return {"losses": sum(bool(row[index].strip()) for row in rows[1:] for index in at if index < len(row))}


def _taken(run: Run, counted: dict[str, int], wanted: Sequence[str]) -> dict[str, int]:
    """Return how much of what was counted is there; one loss too many is a fault, a further setting is none."""
    losses = sum(
        len(block.values)
        for block in run.timeline.samples
        if re.search(r"loss", block.name, re.IGNORECASE) and not re.match(r"(?:epoch_)?(?:eval|val|test)", block.name)
    )
    names = {setting.name for setting in run.environment.of("setting")}
    found = sum(any(name == want or name.endswith(f".{want}") for name in names) for want in wanted)
    told = {
        "losses": losses,
        "settings": found,
        "versions": sum(1 for _ in run.environment.of("package"))
        + (run.environment.best("cann", "hardware") is not None),
    }
    return {what: told[what] if what == "losses" else min(told[what], number) for what, number in counted.items()}


def _in_notebook(book: dict[str, Any]) -> dict[str, int]:
    losses = 0
    pages = set[str]()
    for cell in book["cells"]:
        for output in cell.get("outputs", ()):
            if output.get("output_type") == "stream":
                text = "".join(output.get("text", ()))
                losses += _printed(text)
            page = "".join(output.get("data", {}).get("text/html", ()))
            losses += 0 if page in pages else sum(_rows(page))  # a cell that was copied with its output
            pages.add(page)
    return {"losses": losses}


def _rows(page: str) -> Iterator[int]:
    """Yield, for each table with a step or an epoch, how many rows have a number as their training loss."""
    for table_text in re.findall(r"<table.*?</table>", page, re.DOTALL):
        head, _, body = table_text.partition("</thead>")
        names = [_plain(cell).lower() for cell in re.findall(r"<th.*?</th>", head, re.DOTALL)]
        if not {"step", "epoch"} & set(names) or not {"training loss", "train_loss"} & set(names):
            continue
        at = next(i for i, name in enumerate(names) if name in {"training loss", "train_loss"})
        rows = [re.findall(r"<td.*?</td>", row, re.DOTALL) for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)]
        yield sum(len(row) > at and re.match(r"-?\d|nan", _plain(row[at])) is not None for row in rows)


def _plain(cell: str) -> str:
    return re.sub(r"<.*?>", "", cell).strip()


def _wanted(text: str) -> list[str]:
    options = {name.replace("-", "_") for name in _OPTION.findall(text)} - _OF_THE_LAUNCHER
    return sorted({name for name in (options | set(_KEY.findall(text))) if name.strip("_")} - _RENAMED)


def _in_issue(text: str) -> dict[str, int]:
    return {"losses": _printed(text), "settings": len(_wanted(text)), "versions": len(_VERSION.findall(text))}


def _printed(text: str) -> int:
    """Count the losses of every line; of a bar that was drawn again and again only the last drawing stands."""
    lines = (line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n") if "`eval" not in line)
    return sum(not _OTHER.search(match["name"]) for line in lines for match in _PRINTED.finditer(line))


def _in_log(text: str) -> dict[str, int]:
    lines = _COLOUR.sub("", text).replace("\r\n", "\n").split("\n")
    found = (match["name"] for line in lines for match in _LOGGED.finditer(line.rpartition("\r")[2]))
    return {"losses": sum(not _NO_LOSS.search(name) for name in found)}


_BY_NAME: dict[str, Callable[[str], dict[str, int]]] = {
    "log, unseen": _in_log,
    "table, unseen": _in_table,
    "column, unseen": lambda text: {"losses": len([line for line in text.splitlines() if line.strip()])},
    "no log": lambda _: {"series": 0},
    "file, its own expression": lambda _: {},
}


def table(measured: Sequence[Source]) -> str:
    """Return the share that is read whole by kind, then every file that is not."""
    lines = [
        "| kind | files | read whole | at first sight | losses read | settings read | versions read |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(source.kind for source in measured):
        known = [source for source in measured if source.kind == kind and source.counted and source.taken]
        sums = {what: _sums(known, what) for what in ("losses", "settings", "versions")}
        whole = sum(source.whole for source in known)
        first = (
            sum(source.first == source.counted for source in known) if any(source.first for source in known) else "-"
        )
        lines.append(
            f"| {kind} | {len(known)} | {whole} | {first} | {sums['losses']} | {sums['settings']} "
            f"| {sums['versions']} |"
        )
    rest = [source for source in measured if not source.whole and source.counted]
    lines += ["", "Not read whole:", ""] if rest else []
    lines += [f"- {s.repository} {s.path}: {s.taken} of {s.counted}" for s in rest]
    return "\n".join(lines)


def _sums(known: Sequence[Source], what: str) -> str:
    taken = sum((source.taken or {}).get(what, 0) for source in known)
    counted = sum((source.counted or {}).get(what, 0) for source in known)
    return f"{taken} of {counted}" if counted else "-"


if __name__ == "__main__":
    main()
