"""YAML of strangers: bounds, tags, numbers without a dot."""

import contextlib
import math
import time
import tracemalloc

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from forensics.errors import LimitError, MalformedError
from forensics.formats.plain_scalar import plain
from forensics.formats.safe_yaml import parse

CONFIG = b"""\
### model
model_name_or_path: meta-llama/Llama-2-7b-hf
learning_rate: 1e-5
bf16: yes
lora_target: [q_proj, v_proj]
quoted: '1e-5'
deepspeed_config: &ds
  zero_stage: 2
again: *ds
merged:
  <<: *ds
  zero_stage: 3
  extra: null
before:
  zero_stage: 1
  <<: *ds
"""


def test_configuration_is_read_with_numbers_and_merges() -> None:
    """A scalar that is a number to Python is one; a quoted one stays text; << adds what is not set."""
    assert parse(CONFIG).value == {
        "model_name_or_path": "meta-llama/Llama-2-7b-hf",
        "learning_rate": 1e-5,
        "bf16": True,
        "lora_target": ["q_proj", "v_proj"],
        "quoted": "1e-5",
        "deepspeed_config": {"zero_stage": 2},
        "again": {"zero_stage": 2},
        "merged": {"zero_stage": 3, "extra": None},
        "before": {"zero_stage": 1},
    }


def test_python_tags_are_never_constructed() -> None:
    """An object tag leaves its plain content and calls nothing."""
    data = b"hparams: !!python/object/apply:os.system ['id']\nargs: !!python/object:argparse.Namespace {lr: 1e-4}\n"
    assert parse(data).value == {"hparams": ["id"], "args": {"lr": 1e-4}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("2E+3", 2000.0),
        (".5", 0.5),
        ("-3", -3),
        ("0.12.5", "0.12.5"),
        ("12:30", "12:30"),
        ("0x1F", "0x1F"),
        ("-.inf", -math.inf),
        ("e5", "e5"),
        ("2024-05-01", "2024-05-01"),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    """Numbers in Python's spelling are numbers, all else stays text."""
    assert plain(text) == value


def _bomb() -> bytes:
    lines = ["a0: &a0 [x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 15)]
    return "\n".join(lines).encode()


def _merge_bomb() -> bytes:
    keys = ", ".join(f"k{i}: 0" for i in range(5000))
    return f"base: &b {{{keys}}}\n".encode() + b"".join(b"m%d: {<<: *b}\n" % i for i in range(99))


BOMBS = (_bomb(), _merge_bomb(), b"[" * 100_000, b"- " * 5000 + b"x", b"a" * (2 << 20))


@pytest.mark.parametrize("data", BOMBS)
def test_bombs_are_typed_errors(data: bytes) -> None:
    """Aliases, merges, nesting and size end in an error of ours; which one depends on how deep the parser goes.

    PyYAML 6.0.4 refuses deep nesting itself; its older releases leave it to us.
    """
    with pytest.raises((LimitError, MalformedError)):
        parse(data)


@pytest.mark.parametrize("data", BOMBS)
def test_bombs_cost_nothing(data: bytes) -> None:
    """Memory stays within a few times the input, and time beside that of an honest file of the same size."""
    honest = b"".join(b"key%d: value\n" % i for i in range(90_000))
    limit = 4 * _seconds(honest) + 0.5
    tracemalloc.start()
    spent = _seconds(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert spent < limit
    assert peak < (32 << 20) + 8 * len(data)


def _seconds(data: bytes) -> float:
    started = time.process_time()
    with contextlib.suppress(LimitError, MalformedError):
        parse(data)
    return time.process_time() - started


def test_what_only_our_own_bounds_refuse() -> None:
    """Aliases and merges are plain YAML to every parser: the bound is ours."""
    for data in (_bomb(), _merge_bomb(), b"a" * (2 << 20)):
        with pytest.raises(LimitError):
            parse(data)


def test_an_alias_to_its_own_container_is_nothing() -> None:
    """A cycle is cut, so that the value can be walked."""
    assert parse(b"a: &a {b: *a, c: [1]}").value == {"a": {"b": None, "c": [1]}}


def test_a_broken_file_keeps_what_stands_before() -> None:
    """A syntax error loses what follows it, and its line is told."""
    document = parse(b"learning_rate: 0.1\nbf16: true\nx: [1, 2\ny: }\n")

    assert isinstance(document.value, dict)
    assert document.value["learning_rate"] == 0.1
    assert document.broken_line == 4


@given(
    st.dictionaries(
        st.text("abcdef_", min_size=1),
        st.recursive(
            st.integers(-9999, 9999) | st.booleans() | st.none() | st.text("abc -", max_size=9),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", min_size=1), inner, max_size=3),
        ),
        min_size=1,
    )
)
def test_agrees_with_the_safe_loader(value: dict[str, object]) -> None:
    """What PyYAML dumps is read back as PyYAML's safe loader reads it."""
    data = yaml.safe_dump(value).encode()
    assert parse(data).value == yaml.safe_load(data)


@given(st.integers(1, len(CONFIG)))
def test_any_prefix_gives_a_document_or_a_typed_error(cut: int) -> None:
    """No prefix raises anything else."""
    try:
        parse(CONFIG[:cut])
    except MalformedError:
        return


def test_code_in_tags_and_doubled_keys_are_named() -> None:
    """What a loader would call and which key was given twice is told; a key that overrides a merge is no double."""
    document = parse(
        b"base: &base {lr: 1, b: !!python/name:os.system ''}\n"
        b"job: {<<: *base, lr: 2}\n"
        b"x: !!python/object/apply:os.getcwd []\n"
        b"space: !!python/object:argparse.Namespace {a: 1}\n"
        b"seed: 1\nseed: 2\n"
    )

    assert document.code == ("os.system", "os.getcwd")
    assert document.duplicates == ("seed",)
    assert isinstance(document.value, dict)
    assert document.value["seed"] == 2
