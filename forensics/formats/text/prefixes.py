"""What launchers and loggers put before a line: ranks, hosts, times.

torchrun `--tee` writes `[default0]:`, c10d and uncaught exceptions `[rank0]:`, srun `--label` `0: `, pdsh
`worker-1: `, docker compose `trainer-0  | `, ray `(main_task pid=31245) `, python logging `WARNING:root:`.
"""

from forensics.deferred.patterns import expression

# Most fragments begin nearby: look there first, so that a file without any CR is not searched for one.
NEAR_BYTES = 256

_RANK = expression(rb"\[(?:default|rank)(\d{1,6})\]:")
_NUMBERED = expression(rb"(\d{1,6}): (?=\S)")
_HOST = expression(rb"(?:worker-|node-?|host-?)(\d{1,6}): ")
_AXOLOTL = expression(rb"\[RANK:(\d{1,6})\]|\[Rank (\d{1,6})\]")
_LEVEL = rb"\[?(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\]?"
_PREFIX = expression(
    rb"\s*(?:"
    rb"\[(?:default|rank)\d+\]:"
    rb"|\([\w-]+ pid=\d+(?:, ip=[\d.]+)?\) ?"
    rb"|[\w.-]+ +\| (?=\S)"
    rb"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z? "
    rb"|\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: - | \| | )(?:[\w.]+(?: - | ))?"
    + _LEVEL
    + rb"(?: - |: | \| | )"
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [EWIF] [\w./-]+\.cc:\d+\] *(?:\(\d+\) )?"
    rb"|(?:worker-|node|host)[\w.-]*: "
    rb"|\d{1,3}(?:\.\d{1,3}){3}: "
    rb"|\d{1,6}: (?=\S)"
    rb"|\[\d+\] (?=[\{\[])"
    rb"|(?:INFO|WARNING|ERROR|DEBUG|CRITICAL):[\w.]*:"
    rb"|\[(?:INFO|WARNING|ERROR|DEBUG)\|[^\]\r\n]{1,80}\](?: \d{4}-[\d: ,-]{8,20})?(?: [\w.]+:\d+)? >> "
    rb"|\[transformers\] "
    rb")"
)


def fragment_start(data: bytes, position: int, floor: int = 0) -> int:
    """Return where the fragment (between CR or LF) that holds `position` begins, not before `floor`."""
    near = max(floor, position - NEAR_BYTES)
    start = _last_separator(data, near, position)
    if start < 0 and near > floor:
        start = _last_separator(data, floor, near)
    return max(start + 1, floor)


def _last_separator(data: bytes, first: int, last: int) -> int:
    feed = data.rfind(b"\n", first, last)
    return max(feed, data.rfind(b"\r", max(first, feed), last))


def fragment_end(data: bytes, position: int, ceiling: int | None = None) -> int:
    """Return where the fragment that holds `position` ends, not behind `ceiling`."""
    limit = len(data) if ceiling is None else ceiling
    end = data.find(b"\n", position, limit)
    end = limit if end < 0 else end
    earlier = data.find(b"\r", position, end)
    return end if earlier < 0 else earlier


def line_rank(prefix: bytes) -> int:
    """Return the rank that the text before a record names, -1 when it names none.

    >>> line_rank(b"[default3]:"), line_rank(b" 12%|# | 1/8 [00:01<00:02][rank1]:"), line_rank(b"0: ")
    (3, 1, 0)
    """
    if not prefix:
        return -1
    ranks = _RANK.findall(prefix)
    if ranks:
        return int(ranks[-1])
    found = _NUMBERED.match(prefix + b".") or _HOST.match(prefix)
    if found:
        return int(found[1])
    marked = _AXOLOTL.search(prefix)
    return int(marked[1] or marked[2]) if marked else -1


def strip_prefixes(line: bytes, most: int = 3) -> bytes:
    """Return the line without up to `most` prefixes of launchers and loggers.

    >>> strip_prefixes(b"[default1]:[rank1]: Traceback (most recent call last):")
    b' Traceback (most recent call last):'
    """
    start = 0
    for _ in range(most):
        found = _PREFIX.match(line, start)
        if found is None:
            break
        start = found.end()
    return line[start:]
