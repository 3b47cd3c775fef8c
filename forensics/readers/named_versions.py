r"""Versions that a text states, whatever tool printed them.

`transformers env`, `accelerate env`, `llamafactory-cli env`, `trl env`, `torch.utils.collect_env`, `ds_report`, the
tables of axolotl and verl, `pip list | grep torch`, or somebody's own list:

    - `transformers` version: 4.57.1                    - PyTorch version (GPU?): 2.1.2+cu121 (True)
    deepspeed info ................... 0.16.9, unknown  - accelerator(s): NVIDIA H100 80GB, NVIDIA H100 80GB
          torch: 2.5.1+cu124                            Python 3.10.12
    |-- torch v2.6.0                                    - CANN version: 8.0.RC2

A line states a version when there is nothing on it but a name, the version and what may stand behind one; so prose
and requirements (`>=`) state none. In the prose of an issue a name right before a version counts as well, unless the
text names two versions of it: people tell what they tried.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from forensics.deferred.patterns import expression
from forensics.formats.plain_scalar import plain
from forensics.model import Artifact, Fact, Setting, Source, Standing
from forensics.plugin import reader
from forensics.readers._environment import (
    LINE,
    Line,
    distribution_name,
    hardware,
    package,
    read_lines,
    settings,
    sniffed,
    too_long,
)
from forensics.readers._images import IMAGE, image_settings
from forensics.readers._known_names import HARDWARE, PACKAGES

_VERSION = r"v?(?P<version>\d+(?:\.\w+){1,5}(?:[+\-][\w.\-+]{1,60})?)"
_BULLET = r"[\s>|*+•├└│─`\"'\-]{0,24}(?P<listed>\[(?:pip\d?|conda|uv)\]\s{0,4})?"
_NAME = (
    r"(?P<name>[A-Za-z][\w .\-/]{0,40}?)"
    r"(?P<said>[`*\"']{0,3}(?: library)?(?: version| info)?(?: ?\([\w? /]{1,24}\))?)[`*\"']{0,3}"
)
_BETWEEN = r"(?:(?(listed)={2}|(?!))|\s{0,40}(?::|\.{2,60}|->|\|)\s{0,40}[`*\"']{0,3}|\s{1,60}\(?)"
_BEHIND = (
    r"[`*\"')]{0,3}(?:\s{0,40}[(\[,;|#].{0,300}"
    r"|\s{1,40}(?:pypi_0|py[\w.]{0,40}_[\w.]{1,20}|https?://\S{1,200}|/\S{1,200}|pypi|conda-forge)(?:\s.{0,200})?)?"
)
_STATED = expression(rf"^{_BULLET}{_NAME}(?P<between>{_BETWEEN}){_VERSION}{_BEHIND}\s*$")
_KEYED = expression(rf"^{_BULLET}(?P<name>[A-Za-z][\w ()\-/]{{1,40}}?)\s{{0,20}}[:=]\s{{0,20}}(?P<value>\S.{{0,400}})$")
_MAY_STATE = expression(r"(?!\s*(?:\{|\[\d|\[rank))[^\d:]{1,120}[\d:]")
"""What a line that states something begins with: few words, then a digit or a colon; most lines of a log do not."""
_HEADING = expression(r"^[\s>]{0,8}-{2,40}\s{0,4}([A-Za-z][\w.\-]{1,40}) [Ii]nfo\s{0,4}-{2,40}\s*$")
_BELOW = expression(r"^[\s>]{0,8}[Vv]ersion\s{0,12}:\s{0,12}v?(\d[\w.+\-]{1,60})\s*$")
_ASKED = expression(r"\b([A-Za-z]\w{1,40})\.__version__\)?\s*$")
_ANSWER = expression(r"^[\s>]{0,8}['\"]?(\d+\.\d[\w.+]{0,60})['\"]?\s*$")
_QUOTED = expression(
    r"[\"']([A-Za-z][\w.\-]{0,40})[\"']\s{0,4}[:=]\s{0,4}[\"']v?(\d{1,8}(?:\.\w{1,20}){1,5}(?:[+\-][\w.]{1,40})?)[\"']"
)
"""A pair of a dictionary or a JSON object: `'torch': '2.1.2'`."""
_ATTRIBUTE = expression(r"\.__version__\s{0,4}(?=[:=])")
_COMMA = expression(r"\s{0,4}[,;\u3001\uff0c\uff1b]\s{0,4}")
_GPU = expression(r"^[\s>]{0,8}(?:GPU models and configuration: )?GPU \d{1,3}: ((?!.{1,200}\(UUID: ).{1,200})$")
_CONFIGURED = expression(r"^(?:\t|\s{4,})[-*] (?P<name>[\w.]{1,80}):\s{0,8}(?P<value>.{0,400})$")
_DEFAULTS = expression(r"^[\s>]{0,8}[-*] `?Accelerate`? (?:default )?config:", re.IGNORECASE)
_NAMES = "|".join(sorted(map(re.escape, PACKAGES), key=len, reverse=True))
_IN_PROSE = expression(
    rf"(?=[A-Za-z])(?<![\w./\-])(?P<name>{_NAMES})(?:[`*]{{0,2}} ?(?:version|==?|:|@|v\.?)?:? ?[`*]{{0,2}}|-)"
    r"v?(?P<version>\d{1,8}\.\d{1,8}(?:\.\w{1,20}){0,6}(?:\+\w{1,40})?)(?![\w.]{0,20}\w)",
    re.IGNORECASE,
)
_DOTTED = expression(r"\d\.\d")
_MARKS = expression(rb"version|\d\.\d", re.IGNORECASE)
_JSON = expression(rb"\s*(?:\{|\[\s*[\[{\"])")
_WISHES = expression(
    r"(?i)(?:^|/)(?:readme|changelog|contributing)[^/]*$|\.(?:py|rst|toml|cfg|ini|ya?ml|lock|html?|sh|csv)$"
)
"""Files that name versions which somebody asks for, or programs that do."""
SEVERAL = 2
"""Packages that a JSON file names beside their versions; other readers take a configuration's own."""
VERSIONED = frozenset({"cuda", "nvcc", "driver", "cudnn", "nccl", "rocm", "cann"})


def _sniff(head: bytes) -> bool:
    if b"\0" in head or not _MARKS.search(head):
        return False
    if _JSON.match(head):
        return len({name for name, _ in _QUOTED.findall(sniffed(head)) if _known(name)}) >= SEVERAL
    lines = (Line(number, text) for number, text in enumerate(sniffed(head).split("\n"), 1))
    return any(_package_of(line.text) is not None for line in _spelled_out(lines))


@reader("named-versions", match=(r"/rest\.log$",), sniff=_sniff)
def named_versions(artifact: Artifact) -> Iterator[Fact]:
    """Environments as tools print them for an issue, or as people list them: packages, CUDA, boards, images.

    `transformers env`, `accelerate env`, `llamafactory-cli env`, `trl env`, `collect_env`, `ds_report`, axolotl's
    tables, lines of `pip list`, `conda list` and `uv tree`, alone or pasted among other text.
    """
    if _WISHES.search(artifact.path):
        return
    yield from too_long(artifact, "versions")
    lines = list(read_lines(artifact))
    for line in _spelled_out(lines):
        if _MAY_STATE.match(line.text):
            yield from _stated(line.text, artifact.at(LINE, line.number))
    boards = [(match[1], line.number) for line in lines if (match := _GPU.match(line.text))]
    if boards:
        yield from hardware("gpu", boards[0][0], artifact.at(LINE, boards[0][1]))
        yield from hardware("gpu_count", len(boards), artifact.at(LINE, boards[0][1]))
    yield from _defaults(artifact, lines)
    if artifact.path.endswith("/rest.log"):
        yield from _in_prose(artifact, lines)


def _spelled_out(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the lines that say something, and as lines of their own the statements that stand in another form.

    Several on a line (`torch 2.1.0, transformers 4.36.2`), a version below a heading of its package
    (`---- torch Info ----`, then `Version : 2.6.0`), what an interpreter answers to `torch.__version__`, pairs of a
    dictionary that was printed.
    """
    section = asked = ""
    for line in lines:
        text = line.text
        if not text:
            asked = ""
            continue
        yield line
        if heading := _HEADING.match(text):
            section = heading[1]
        elif section and (version := _BELOW.match(text)):
            yield Line(line.number, f"{section}: {version[1]}")
        elif asked and (answer := _ANSWER.match(text)):
            yield Line(line.number, f"{asked}: {answer[1]}")
        yield from (Line(line.number, f"{name}: {told}") for name, told in _QUOTED.findall(text[:4000]) if _known(name))
        if _ATTRIBUTE.search(text):
            yield Line(line.number, _ATTRIBUTE.sub("", text, count=1).replace("= ", ": "))
        parts = _COMMA.split(text) if len(text) < 400 and _COMMA.search(text) else []
        statements = [Line(line.number, part.replace("==", ": ")) for part in parts if part]
        if len(statements) > 1 and all(_states(statement.text) for statement in statements):
            yield from statements
        question = _ASKED.search(text)
        asked = question[1] if question else ""


def _states(text: str) -> bool:
    match = _STATED.match(text)
    return _package_of(text) is not None or (match is not None and _kind(match["name"]) in VERSIONED)


def _package_of(line: str) -> tuple[str, str] | None:
    """Return package and version of a line that states one: a known name, or any that is a bullet's `version`."""
    match = _STATED.match(line) if len(line) < 600 else None
    if match is None or (match["between"].isspace() and line[match.end("version") :].lstrip()[:1] == ","):
        return None  # a sentence goes on behind a comma
    name = match["name"].strip().lower()
    known = _known(name)
    told = "version" in match["said"] and line.lstrip(" >")[:1] in "-*" and name not in HARDWARE
    if known is None and told and f"{name} version" not in HARDWARE:
        known = distribution_name(name)
    return None if known is None else (known, match["version"])


def _known(name: str) -> str | None:
    """Return the canonical name of a package that people name."""
    return PACKAGES.get(name.lower()) or PACKAGES.get(distribution_name(name))


def _stated(text: str, source: Source) -> Iterator[Setting]:
    found = _package_of(text)
    if found is not None:
        yield from package(*found, source, Standing.CONFIGURED)
        return
    version, keyed = _STATED.match(text), _KEYED.match(text)
    if version is not None:
        said = version["said"].strip("`*\"' ").partition("(")[0]
        kind = _kind(f"{version['name']} {said}") or _kind(version["name"])
        if kind in VERSIONED:
            yield from hardware(kind, version["version"], source)
    elif keyed is not None:
        yield from _board(_kind(keyed["name"]), keyed["value"].strip(), source)


def _kind(name: str) -> str | None:
    return HARDWARE.get(re.sub(r"[\s_]+", " ", name.strip("`*\"' ").lower()))


def _board(kind: str | None, value: str, source: Source) -> Iterator[Setting]:
    if kind == "gpu" and re.search(r"[A-Za-z]{2}|\d{4}", value):
        boards = [board.strip() for board in value.split(",") if board.strip()]
        yield from hardware("gpu", boards[0], source)
        if len(boards) > 1:
            yield from hardware("gpu_count", len(boards), source)
    elif kind == "gpu_count" and value.isdecimal() and len(value) < 7:
        yield from hardware(kind, int(value), source)
    elif kind in {"platform", "os"}:
        yield from hardware(kind, value, source)


def _defaults(artifact: Artifact, lines: Sequence[Line]) -> Iterator[Setting]:
    """Yield accelerate's default configuration, which its `env` prints indented below its own line."""
    inside = False
    for line in lines:
        item = _CONFIGURED.match(line.text) if inside else None
        if item is not None:
            named = {item["name"]: plain(item["value"].strip())}
            source = artifact.at(LINE, line.number)
            yield from (replace(s, source=source) for s in settings(artifact, named, Standing.CONFIGURED, "accelerate"))
        elif line.text.strip().lower().rstrip(".") != "not found":
            inside = bool(_DEFAULTS.match(line.text)) or (inside and not line.text.strip())


def _in_prose(artifact: Artifact, lines: Sequence[Line]) -> Iterator[Setting]:
    """Yield versions and images that sentences name, where the text names one of each only."""
    told: dict[str, dict[str, int]] = defaultdict(dict)
    for line in lines:
        for match in _IN_PROSE.finditer(line.text[:2000]) if _DOTTED.search(line.text) else ():
            told[PACKAGES[match["name"].lower()]].setdefault(match["version"], line.number)
        for image in IMAGE.findall(line.text[:2000]) if ":" in line.text and "/" in line.text else ():
            told["image"].setdefault(image, line.number)
    for name, versions in told.items():
        if len(versions) == 1:
            version, number = next(iter(versions.items()))
            source = artifact.at(LINE, number)
            if name == "image":
                yield from image_settings(version, source)
            else:
                yield from package(name, version, source, Standing.INTENDED)
