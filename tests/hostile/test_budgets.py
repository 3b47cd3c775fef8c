"""What a parser may hold and do stays in proportion to its input: counted in bytes and calls, never in seconds."""

import contextlib
import json
import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from forensics import analyze
from forensics.errors import ForensicsError
from forensics.formats.lenient_json import parse as parse_json
from forensics.formats.npz import read_numpy
from forensics.formats.pickle_search import unsafe_names
from forensics.formats.safe_yaml import parse as parse_yaml
from forensics.formats.safetensors import read_layout
from forensics.formats.torch_file import plain, read_torch
from forensics.formats.zip_index import read_index
from forensics.limits import DEFAULT
from forensics.redaction import Redactor
from forensics.storage.file import File
from fuzz.hostile.assembled import Member, call, mapping, name, number, pickled, text, torch_zip, zipped

FLOOR = 4 << 20
FOLD = 140
"""Bytes held for each byte of input, above a floor; measured at most 129 (empty lists in a pickle, read twice)."""
Parse = Callable[[bytes, Path], object]


def opened(read: Callable[[File], object]) -> Parse:
    def parse(content: bytes, _folder: Path) -> object:
        with File.of_bytes(content, Path("x.bin")) as file:
            return read(file)

    return parse


def torch(file: File) -> object:
    unsafe_names(file, DEFAULT)
    return plain(read_torch(file).value)


def header(count: int) -> bytes:
    entries = {f"l.{i}": {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]} for i in range(count)}
    told = json.dumps(entries).encode()
    return struct.pack("<Q", len(told)) + told + bytes(4 * count)


def keys(count: int) -> bytes:
    return torch_zip(pickled(mapping(**{f"k{i}": text("v") for i in range(count)})))


def redacted(content: bytes, _folder: Path) -> object:
    redactor = Redactor(identities=True)
    redactor.learn([content.decode()])
    return redactor(content.decode())


def in_a_run(file: str) -> Parse:
    def parse(content: bytes, folder: Path) -> object:
        (folder / file).write_bytes(content)
        return analyze(folder)

    return parse


def notebook(count: int) -> bytes:
    cell = {"cell_type": "code", "source": ["train()"], "metadata": {}, "execution_count": 1, "outputs": []}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell] * count}).encode()


CASES: dict[str, tuple[Parse, Callable[[int], bytes]]] = {
    "lists in a pickle": (opened(torch), lambda n: pickled(b"(" + b"]" * (n * 40) + b"t")),
    "calls in a pickle": (opened(torch), lambda n: pickled(b"(" + call(name("a", "B"), number(1)) * n + b"t")),
    "keys in a pickle": (
        opened(torch),
        lambda n: torch_zip(pickled(mapping(**{f"k{i}": text("v") for i in range(n)}))),
    ),
    "tensors in a header": (opened(read_layout), header),
    "entries of a zip": (
        opened(read_index),
        lambda n: zipped([Member(name=b"a/%d" % i, content=b"x") for i in range(n)]),
    ),
    "arrays of an npz": (opened(read_numpy), lambda n: zipped([Member(name=b"%d.npy" % i) for i in range(n)])),
    "lists in JSON": (lambda data, _: parse_json(data), lambda n: b"[" + b"[]," * (n * 10) + b"[]]"),
    "cut JSON": (lambda data, _: parse_json(data), lambda n: b'{"log_history": [' + b'{"step": 1, "loss": 2.0},' * n),
    "nested JSON": (lambda data, _: parse_json(data), lambda n: b"[" * n * 10),
    "aliases in YAML": (lambda data, _: parse_yaml(data), lambda n: b"a: &a [1]\n" + b"- *a\n" * n),
    "keys in YAML": (lambda data, _: parse_yaml(data), lambda n: b"".join(b"k%d: v\n" % i for i in range(n))),
    "names of secrets": (redacted, lambda n: b"api_key=0123abcd4567ef89 " * n),
    "lines of a log": (in_a_run("train.log"), lambda n: b"{'loss': 2.0, 'epoch': 0.1}\n" * n),
    "one line of a log": (in_a_run("train.log"), lambda n: b"{'loss': 2.0}\n" * 9 + b"'loss': 1.0 " * n),
    "rows of a table": (in_a_run("metrics.csv"), lambda n: b"step,loss\n" + b"1,2.0\n" * n),
    "cells of a notebook": (in_a_run("train.ipynb"), notebook),
    "rows of a page": (in_a_run("issue.html"), lambda n: b"<!DOCTYPE html><table>" + b"<tr><td>1</td></tr>" * n),
    "fences of an issue": (in_a_run("issue.md"), lambda n: b"```\n{'loss': 1.0}\n```\n" * n),
}


def fed(case: str, size: int, folder: Path) -> int:
    """Feed a case and return the bytes of its input."""
    parse, make = CASES[case]
    content = make(size)
    with contextlib.suppress(ForensicsError):  # refused, which costs something too
        parse(content, folder)
    return len(content)


@pytest.mark.parametrize("case", CASES)
def test_memory_stays_in_proportion(case: str, tmp_path: Path) -> None:
    fed(case, 10, tmp_path)  # what is imported at the first call counts for none
    tracemalloc.start()
    try:
        size = fed(case, 4_000, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < FLOOR + FOLD * size


@pytest.mark.parametrize("case", CASES)
def test_calls_stay_in_proportion(case: str, tmp_path: Path) -> None:
    """Four times the input makes four times the calls, and no sixteen."""

    def calls(size: int) -> int:
        count = 0

        def tally(_frame: FrameType, event: str, _argument: object) -> None:
            nonlocal count
            count += event in {"call", "c_call"}

        sys.setprofile(tally)
        try:
            fed(case, size, tmp_path)
        finally:
            sys.setprofile(None)
        return count

    calls(10)
    assert calls(2_000) < 6 * max(calls(500), 2_000)
