"""Headers of safetensors, shard indexes and distributed checkpoints that lie, are huge, or lead elsewhere."""

import json
import os
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from fuzz.hostile.assembled import mapping, name, number, pickled, text, torch_zip
from fuzz.hostile.inputs import Input, files

HOSTILE_NAMES = ("\x1b[31mred\x1b[0m", "<script>alert(1)</script>", "a\nb", "\u202etxt", "| a |", "x" * 200_000, "\0")
ONE = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


def safetensors(header: object, data: int = 16, length: int | None = None) -> bytes:
    """Return a file of a header, given as an object or in bytes, and of zeros; `length` may lie."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + bytes(data)


def many(count: int, experts: int = 384, value: float = 1.0) -> bytes:
    """Return a file of so many tensors of one element, named as those of a mixture of experts."""
    rows = (
        f'"model.layers.{n // (3 * experts)}.mlp.experts.{n // 3 % experts}.w{n % 3}.weight_scale":'
        f'{{"dtype":"F32","shape":[1],"data_offsets":[{4 * n},{4 * n + 4}]}}'
        for n in range(count)
    )
    raw = ("{" + ",".join(rows) + "}").encode()
    return struct.pack("<Q", len(raw)) + raw + struct.pack("<f", value) * count


def _one(**changed: object) -> bytes:
    return safetensors({"w": {**ONE, **changed}})


def _headers() -> dict[str, bytes | Callable[[], bytes]]:
    entry = json.dumps(ONE)
    return {
        "empty": b"",
        "seven bytes": b"\0" * 7,
        "length 0": safetensors(b""),
        "length 2^63": safetensors(b"{}", length=1 << 63),
        "length past the end": safetensors({"w": ONE}, length=5_000),
        "header of 101 MB": lambda: safetensors(b"{" + b" " * 101_000_000 + b"}"),
        "header of 88 MB in blanks": lambda: safetensors(b"{" + b" " * 88_000_000 + b"}"),
        "overlap": safetensors({"a": ONE, "b": {**ONE, "data_offsets": [8, 24]}}, 24),
        "5,000 over one range": safetensors({f"t{n}": ONE for n in range(5_000)}),
        "hole": safetensors({"a": ONE, "b": {**ONE, "data_offsets": [32, 48]}}, 48),
        "bytes after the last": safetensors({"a": ONE}, 99),
        "far past the file": _one(shape=[1 << 40], data_offsets=[0, 1 << 42]),
        "cut": safetensors({"a": ONE, "b": {**ONE, "data_offsets": [16, 32]}}, 20),
        "end before begin": _one(data_offsets=[16, 0]),
        "negative offsets": _one(data_offsets=[-16, 0]),
        "offsets of three": _one(data_offsets=[0, 16, 32]),
        "doubled name": safetensors(f'{{"a":{entry},"a":{entry}}}'.encode()),
        "bad UTF-8": safetensors(b'{"\xff\xfe":' + entry.encode() + b"}"),
        "lone surrogate": safetensors(b'{"\\ud800":' + entry.encode() + b"}"),
        "negative sizes": _one(shape=[-2, -2]),
        "product beyond 64 bits": _one(shape=[1 << 32, 1 << 32, 16]),
        "size of 1e400": safetensors(b'{"w":{"dtype":"F32","shape":[1e400],"data_offsets":[0,16]}}'),
        "size that is true": _one(shape=[True, 4]),
        "size 4.0": _one(shape=[4.0]),
        "10,000 dimensions": _one(shape=[1] * 10_000),
        "dtype unknown": _one(dtype="F23"),
        "dtype a list": _one(dtype=["F32"]),
        "bytes that do not fit": _one(dtype="F64"),
        "no offsets": safetensors({"w": {"dtype": "F32", "shape": [4]}}),
        "entries null": safetensors({"w": None, "v": 1}),
        "a list": safetensors([ONE]),
        "nested 100,000 deep": safetensors(b'{"a":' * 100_000 + b"}" * 100_000),
        "2 million brackets": safetensors(b'{"a":' + b"[" * 2_000_000 + b"}"),
        "number of 100,000 digits": safetensors(b'{"w":{"dtype":"F32","shape":[' + b"9" * 100_000 + b"]}}"),
        "NaN": safetensors(b'{"w":{"dtype":"F32","shape":[NaN],"data_offsets":[0,16]}}'),
        "metadata of objects": safetensors({"__metadata__": {"a": {"b": 1}}, "w": ONE}),
        "metadata of markup": safetensors({"__metadata__": {"a": "<img src=x onerror=alert(1)>\x1b[2J"}, "w": ONE}),
        "hostile names": safetensors(dict.fromkeys(HOSTILE_NAMES, ONE)),
        "byte order mark": safetensors(b"\xef\xbb\xbf" + json.dumps({"w": ONE}).encode()),
        "escapes in every name": lambda: many(20_000).replace(b'"model.', b'"\\u006dodel.'),
        "a pickle": pickled(mapping(w=number(1))),
        "100,000 tensors": lambda: many(100_000),
        "700,000 tensors": lambda: many(700_000),
        "100,000 tensors of NaN": lambda: many(100_000, value=float("nan")),
        "100,000 names of 400 letters": lambda: many(100_000).replace(b"experts", b"experts" * 50),
    }


def _mapped(shard: object) -> bytes:
    return json.dumps({"metadata": {"total_size": 16}, "weight_map": {"a": shard}}).encode()


def _indexes() -> dict[str, bytes | Callable[[], bytes]]:
    names = {
        "dots": "../../../../etc/passwd",
        "absolute": "/etc/passwd",
        "URL": "http://evil.invalid/model.safetensors",
        "NUL": "a\0b.safetensors",
        "backslashes": "..\\..\\x.safetensors",
        "itself": "model.safetensors.index.json",
        "the folder": ".",
        "4,000 letters": "x" * 4_000,
        "home": "~/.ssh/id_rsa",
        "proc": "/proc/self/environ",
    }
    made: dict[str, bytes | Callable[[], bytes]] = {name: _mapped(shard) for name, shard in names.items()}
    made["shards of other types"] = b'{"weight_map": {"a": 1, "b": null, "c": ["x"], "d": {}}}'
    made["map a list"] = b'{"weight_map": ["a"]}'
    made["total of NaN"] = b'{"metadata": {"total_size": NaN}, "weight_map": {}}'
    made["300,000 missing shards"] = lambda: json.dumps(
        {"weight_map": {f"model.layers.{n}.weight": f"model-{n:06}-of-300000.safetensors" for n in range(300_000)}}
    ).encode()
    made["300,000 tensors of one missing shard"] = lambda: json.dumps(
        {"weight_map": {f"model.layers.{n}.weight": "model-00001-of-00001.safetensors" for n in range(300_000)}}
    ).encode()
    return made


def _special_shards(kind: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        shard = folder / "model-00001-of-00001.safetensors"
        if kind == "FIFO":
            os.mkfifo(shard)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(os.path.relpath(shard))
        else:
            shard.symlink_to("/etc/passwd")
        (folder / "model.safetensors.index.json").write_bytes(_mapped(shard.name))

    return make


def _distributed(count: int) -> bytes:
    """Return a `.metadata` as torch.distributed.checkpoint spells it, of so many names and nothing behind them."""
    keys = b"".join(text(f"model.layers.{n}.weight") + number(n) for n in range(count))
    state = b"}(" + text("state_dict_metadata") + b"}(" + keys + b"uub"
    return pickled(name("torch.distributed.checkpoint.metadata", "Metadata") + b")\x81" + state)


def inputs() -> Iterator[Input]:
    """Yield the class of safetensors, of indexes and of distributed checkpoints."""
    yield from files("safetensors", "checkpoint-5/model.safetensors", _headers())
    yield from files("shard index", "model.safetensors.index.json", _indexes())
    for kind in ("FIFO", "socket", "link outside"):
        yield Input("shard index", f"a shard that is a {kind}", _special_shards(kind))
    distributed: dict[str, bytes | Callable[[], bytes]] = {
        "odd index": _distributed(3),
        "100,000 names": lambda: _distributed(100_000),
        "no pickle": b"metadata",
        "cut": _distributed(50)[:200],
        "a zip": torch_zip(pickled(mapping(w=number(1)))),
    }
    yield from files("distributed checkpoint", "step-3/.metadata", distributed)
