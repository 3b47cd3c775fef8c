"""Trainer states, configurations and names of saves in JSON and YAML, made to exhaust or to mislead."""

import json
from collections.abc import Callable, Iterator

from fuzz.hostile.case import Payload
from fuzz.hostile.inputs import Input, files

HISTORY = [{"loss": 2.0, "step": 10, "epoch": 0.1}, {"loss": 1.9, "step": 20, "epoch": 0.2}]
NAMES = {
    "\x1b[31mred": 1,
    "<script>alert(1)</script>": 1,
    "__proto__": 1,
    "constructor": 1,
    "</script>": 1,
    "=cmd|' /C calc'!A0": 1,
    "\u202e": 1,
}


def _state(**changed: object) -> bytes:
    return json.dumps({"global_step": 20, "max_steps": 100, "log_history": HISTORY, **changed}).encode()


def _states() -> dict[str, bytes | Callable[[], bytes]]:
    return {
        "lists nested 100,000 deep": b'{"log_history":' + b"[" * 100_000,
        "objects nested 100,000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "integer of 200,000 digits": b'{"global_step": ' + b"9" * 200_000 + b"}",
        "integers of 4,000 digits": b'{"log_history": [{"loss": '
        + b"9" * 4_000
        + b', "step": '
        + b"8" * 4_000
        + b"}]}",
        "NaN as a step": b'{"global_step": NaN, "log_history": [{"loss": Infinity, "step": NaN}, {"step": -Infinity}]}',
        "other types": b'{"global_step": [], "max_steps": {}, "log_history": [1, null, "x", [], {"step": {}}]}',
        "history an object": b'{"log_history": {"0": {"loss": 1}}}',
        "doubled keys": b'{"global_step": 1, "global_step": 2, "log_history": [], "log_history": [{"loss": 1}]}',
        "UTF-16": _state().decode().encode("utf-16"),
        "bad UTF-8": _state().replace(b"epoch", b"ep\xff\xfeoch"),
        "cut": _state()[:90],
        "empty": b"",
        "zeros": bytes(4_096),
        "hostile names": _state(log_history=[{**NAMES, "loss": 1.0, "step": 1}, {**NAMES, "step": 2}]),
        "lone surrogates": b'{"log_history":[{"lo\\ud800s":1,"loss":1,"step":1}]}',
        "200,000 names": lambda: _state(log_history=[{f"metric_{n}": n for n in range(200_000)} | {"step": 1}]),
        "steps of 1e18": _state(log_history=[{"loss": 1.0, "step": 10**18 * n} for n in range(1, 9)]),
        "100,000 entries": lambda: _state(log_history=[{"loss": 1 + n % 7 / 9, "step": n} for n in range(100_000)]),
    }


def _configurations(payload: Payload) -> dict[str, bytes | Callable[[], bytes]]:
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    return {
        "billion laughs": laughs.encode(),
        "python/object/apply": f"x: !!python/object/apply:os.system [{json.dumps(payload.command)}]\n".encode(),
        "python/object/new": b"x: !!python/object/new:os.system [true]\ny: !!python/name:os.system\n",
        "lists nested 20,000 deep": b"a: " + b"[" * 20_000,
        "maps nested 900 deep": "".join(f"{' ' * n}a:\n" for n in range(900)).encode(),
        "an alias of itself": b"a: &a [*a]\nb: &b {c: *b}\n",
        "merge keys": b"a: &a {b: 1}\n" + b"".join(b"c%d: {<<: [*a, *a, *a]}\n" % n for n in range(2_000)),
        "odd scalars": b"a: 1:2:3\nb: 0o9\nc: 2001-99-99\nd: !!binary '%%%'\ne: " + b"9" * 100_000 + b"\nf: .nan\n",
        "doubled keys": b"learning_rate: 1\nlearning_rate: 2\n",
        "50,000 documents": lambda: b"---\na: 1\n" * 50_000,
        "keys of lists": b"? [a, b]\n: 1\n? {c: d}\n: 2\n",
        "a key of 2 MB": lambda: b"x" * 2_000_000 + b": 1\n",
        "tabs and marks": b"\xef\xbb\xbfa:\t1\n\tb: 2\n",
        "zeros": bytes(4_096),
    }


def inputs(payload: Payload) -> Iterator[Input]:
    """Yield the classes of JSON and of YAML."""
    yield from files("JSON", "checkpoint-20/trainer_state.json", _states())
    strange = json.dumps(
        {"model_type": "\x1b[31m<script>", "hidden_size": "x" * 9_999, "num_layers": -1, "vocab_size": 1e400}
    )
    yield from files("JSON", "config.json", {"hostile config.json": strange.encode()})
    yield from files("JSON", "latest", {"latest leads outside": b"../../../etc", "latest of escapes": b"\x1b[2J\x07x"})
    yield from files("YAML", "config.yaml", _configurations(payload))
