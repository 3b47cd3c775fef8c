"""A line as its shape: numbers, junk, bars and runs of blanks masked, so that lines of one format look alike.

`step  10 | loss    nan` and `step 200 | loss 3.1415` have the shape `step N | loss N`. Everything that looks like a
number and is none (paths, dates, times, versions, addresses, format specifications) is masked as junk first.
"""

from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.text import number

NUMBER, JUNK, DRAWING = b"\x00", b"\x01", b"\x02"

_UNSAID = (
    rb" (?:(?:iterations|in(?! \d)|or|and|detected|found)\b"
    rb"|(?:values?|checks?|grad(?:ient)?s?|loss scale)\b(?![_/.-])(?! (?:\w{1,20} )?(?:[\d.]|nan))(?![\w ]{0,20}[:=]))"
)
UNSAID = expression(_UNSAID + rb"|\w")
"""What follows a `nan` that is a word: `number of nan iterations`. Behind a sign it is a number all the same."""
SIGNS = (b"=", b":")
STAMP = expression(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?")
STAMP_BYTES = 100
"""How far into a line its date may stand."""
_PLAIN = (
    rb"(?:[-+](?=[\d.nNiI]))?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d|,\d)"
    rb"|(?<!,)(?:0,\d+|\d+,(?:\d\d?|\d{4,}))(?![\w.]|,\d)"  # a decimal comma
    rb"|1\.#(?:QNAN|SNAN|IND|INF)\d{0,6}(?!\w)"  # Microsoft's runtime before 2015
    rb"|(?<=: )[-+]?\.(?:nan|NaN|NAN|inf|Inf|INF)(?!\w)"  # YAML
    rb"|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?"
    rb"|(?:(?<=[=:])|(?<=[=:] )|(?<=[=:][-+])|(?<=[=:] [-+]))(?:nan|NaN|NAN|inf|Inf|INF|[Ii]nfinity)(?!\w)"
    rb"|(?<=\bis )(?:nan|NaN|NAN|inf|Inf|INF)(?= and\b)"
    rb"|(?:nan|NaN|NAN|inf|Inf|INF|[Ii]nfinity)(?!\w)(?!" + _UNSAID + rb"))"
)
NUMBER_ALONE = expression(_PLAIN)
_NOT_WITHIN = (
    rb"(?:(?<![\w.@\\])|(?<=\b[Ss]tep)|(?<=\b[Ss]tep_)|(?<=\b[Ii]ter)|(?<=\b[Ee]poch)|(?<=\b[Ee]poch_)|(?<=\[E))"
)
"""A number is no part of a word, but for those that are printed without a blank: `step10`, `epoch_3`, `[E3]`."""
_ENDINGS = rb"(?:py|pyc|json|jsonl|txt|bin|pt|pth|safetensors|cpp|cc|cu|rs|go|h|log|ya?ml|so|zst|gz|csv|ckpt|md|html)"
_JUNK = (
    rb"https?://\S+"
    rb"|\b(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):[\w.]{1,80}:"  # Python's logging
    rb"|(?<![\w/.+-])[\w.-]{1,100}/[\w.-]{0,100}\w-\d{4,}\b"  # the stream of a container
    rb"|(?:^|(?<=[\dZ] ))(?:algo|compute|host|launcher|master|node|pod|server|trainer|worker)-\d+"
    rb"(?:-\w{3,10}){0,2}(?= )"  # a container of SageMaker or Kubeflow
    rb"|(?<![\w/.+-])[\w.+-]{0,200}(?:/[\w.+=-]{1,200}){1,30}\."
    + _ENDINGS
    + rb"\b(?::\d+)?(?::\w+)?"  # a path with an ending
    rb"|(?<![\w-])[\w-]+\." + _ENDINGS + rb"\b(?::\d+)?(?::\w+)?"  # file.py:12:function
    rb"|(?<![\w./)\]])~?/(?:[\w.+=-]{1,200}/){0,30}[\w.+=-]{0,200}[A-Za-z_][\w.+=-]*(?:/[\w.+=-]*)*"  # an absolute path
    rb"|\b\d{4}[-/.]\d\d[-/.]\d\d(?:[T _-]+\d\d[:-]\d\d(?:[:-]\d\d(?:[.,]\d+)?)?)?"
    rb"(?:Z| (?:UTC|GMT|[A-Z]{2,3}T)\b|(?<=:\d\d) ?[+-]\d\d:?\d\d\b)?"
    rb"|^\d{10}\.\d{2,9}(?= )"  # seconds since 1970, before anything else
    rb"|\b\d\d?[-/.]\d\d(?:[-/.]\d\d(?:\d\d)?)?,? \d\d:\d\d:\d\d(?:[.,]\d+)?"
    rb"|[:%][-+0]?\d{0,2}\.\d+[fFeEgGd]\b(?![-+]\d)"  # a format specification
    rb"|\b\d+:\d\d(?::\d\d)?(?:[.,]\d+)?(?!\d)(?: ?[AP]M\b)?"
    rb"|\b\d+(?:\.\d+){2,}[\w.+-]*"  # versions and addresses
    rb"|\b0x[0-9a-fA-F]+"
    rb"|\b\d+(?:\.\d+)?(?:d|h|hrs?|m|min)[ :,]{0,2}\d+(?:\.\d+)?(?:h|hrs?|m|min|s|sec)\b"  # 1h 2m 3s
    rb"(?:[ :,]{0,2}\d+(?:\.\d+)?(?:m|min|s|sec)\b)*"
    rb"|\b\d+ days?,"
    rb"|\b[a-z]\w{0,40}(?:\.[a-z]\w{0,40}){1,6}:\d+(?= ?[-|\]])"  # package.module:12
    rb"|\b(?:cuda|npu|xpu|hpu|mps|xla|gpu|cpu):\d+"
    rb"|\b[A-Za-z][\w.]{0,60}-\d+(?:\.\d+)?[A-Za-z][\w-]*"  # model-7b
    rb"|\b(?!\d+[eE]\d+\b)\d+[A-Za-z_]+\d\w*"
)
_DRAWING = (
    rb"(?:\xe2\x96[\x80-\x9f]|\xe2\x94[\x80-\xbf]|\xe2\x95[\x80-\xbf])+|={2,}>?\.*|>\.{3,}|\.{4,}|#{2,}|-{3,}|\*{3,}"
    rb"|(?<=\|)[#\d](?= *\|)"
)
_KEY = rb"""(['"][^'"\r\n]{1,200}['"] ?:)"""
_PARTS = expression(_KEY + rb"|(" + _JUNK + rb")|(" + _DRAWING + rb")|(" + _NOT_WITHIN + _PLAIN + rb")|([ \t]+)")
_WIDE = dict.fromkeys(("个epoch", "个 epoch", "個epoch", "個 epoch"), " epoch ")
_WIDE |= {
    "\uff1a": ":",
    "\uff0c": ",",
    "\u3001": ",",
    "\uff08": "(",
    "\uff09": ")",
    "\uff1d": "=",
}  # full-width punctuation
_WIDE |= {"第": "| ", **dict.fromkeys(("步数", "步數", "步"), " steps ")}
_WIDE |= dict.fromkeys(("轮次", "轮数", "輪次", "輪數", "轮", "輪"), " epoch ")
_WIDE_BYTES = tuple((wide.encode(), narrow.encode()) for wide, narrow in _WIDE.items())
_UPRIGHT = expression(rb"\xe2\x94[\x82\x83]|\xe2\x95\x91")
_TENSOR = expression(rb"<tf\.\w{1,20}:?[^<>=]{0,80}(?:shape=[^<>=]{0,40}dtype=[^<>=]{0,20})?numpy=")
_UNMARKED = bytes(0x7F if byte < 4 else byte for byte in range(256))
_MARKS = (b"", b"", JUNK, DRAWING, NUMBER, b" ")
_DIGIT = expression(rb"\d")
_ZEROS = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))

Spans = tuple[tuple[int, int], ...]


def narrowed(line: bytes) -> bytes:
    """Return the line with the punctuation and the counters of Chinese text in ASCII, and without our own marks.

    Upright lines of a drawn table are bars, and TensorFlow's `<tf.Tensor: ..., numpy=2.5>` is its number.
    """
    if b"\xef\xbc" in line or b"\xe7\xac\xac" in line or b"\xe3\x80\x81" in line:
        for wide, narrow in _WIDE_BYTES:
            line = line.replace(wide, narrow)
    if b"\xe2\x94" in line or b"\xe2\x95\x91" in line:
        line = _UPRIGHT.sub(b"|", line)
    if b"numpy=" in line:
        line = _TENSOR.sub(b"", line)
    return line.translate(_UNMARKED)


def outline(line: bytes) -> bytes:
    """Return the line with every digit as 0: those of equal outline have numbers and junk at the same places."""
    return line.translate(_ZEROS)


@dataclass(frozen=True, slots=True)
class Mask:
    """The shape of a line, where its numbers stand in it, and the digits that belong to its words (`Acc@1`)."""

    shape: bytes
    spans: Spans
    words: tuple[tuple[int, bytes], ...]

    def fits(self, line: bytes) -> bool:
        """Tell whether a line of the same outline has the same words."""
        return all(line.startswith(word, start) for start, word in self.words)


def masked(line: bytes) -> Mask:
    r"""Return the mask of a line. Keys of dictionaries are words, whatever they hold.

    >>> masked(b"2025-01-01 10:00:00 step  10/100 loss: nan").shape
    b'\x01 step \x00/\x00 loss: \x00'
    """
    parts: list[bytes] = []
    spans: list[tuple[int, int]] = []
    words: list[tuple[int, bytes]] = []
    for mark, start, end in parted(line):
        text = line[start:end]
        if mark == NUMBER:
            spans.append((start, end))
        elif not mark and _DIGIT.search(text):
            words.append((start, text))
        parts.append(mark or text)
    return Mask(b"".join(parts), tuple(spans), tuple(words))


def parted(line: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the parts of a line: the mark that stands for each in the shape (none for words), its start and end."""
    done = 0
    for found in _PARTS.finditer(line):
        start, end = found.span()
        if start > done:
            yield b"", done, start
        done = end
        yield _MARKS[found.lastindex or 0], start, end
    if done < len(line):
        yield b"", done, len(line)


def shown_shape(shape: bytes) -> str:
    r"""Return a shape as people may read it.

    >>> shown_shape(b"\x01 loss at \x00 ranks")
    '... loss at N ranks'
    """
    text = shape.replace(NUMBER, b"N").replace(JUNK, b"...").replace(DRAWING, b"...")
    return text.decode("utf-8", "replace").strip()


def value_of(text: bytes, *, small: bool = False) -> float:
    """Return the number that a text spells; `small` where a lone comma before three digits parts no thousands.

    >>> value_of(b"12,345"), value_of(b"0,0003"), value_of(b"2,125", small=True)
    (12345.0, 0.0003, 2.125)
    """
    if b"," not in text:
        text = text.replace(b".", b"", 1) if text.lstrip(b"+-")[:2].lower() in {b".n", b".i"} else text
        return float(text) if b"#" not in text else number(text) or 0.0
    whole, _, behind = text.partition(b",")
    decimal = b"," not in behind and b"." not in behind and (small or len(behind) != 3 or whole.lstrip(b"-+") == b"0")
    return float(text.replace(b",", b"." if decimal else b""))
