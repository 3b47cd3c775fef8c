"""The table of formats in the documentation is true."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from weights.checkpoint_files import FIXTURES, only, unlike

torch = pytest.importorskip("torch")
load_file: Any = pytest.importorskip("safetensors.torch").load_file

PAGE = Path(__file__).parent.parent.parent / "docs" / "checkpoints.md"
ROW = re.compile(r"^\| [^|]+ \| [^|]+ \| `([^`]+)` \| `([^`]+)` \| (\w+) \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE.read_text())


def test_every_fixture_has_one_row() -> None:
    assert sorted(case for case, _, _ in ROWS) == sorted(f.name for f in FIXTURES.iterdir() if f.is_dir())


@pytest.mark.parametrize(("case", "reader", "equal"), ROWS)
def test_the_row_says_what_is(case: str, reader: str, equal: str) -> None:
    module = importlib.import_module(f"forensics.weights.layouts.{reader}")
    save = FIXTURES / case / "save"
    wrong = unlike(torch, save, only(save).records, load_file(FIXTURES / case / "expected.safetensors"))

    assert callable(module.recognise)
    assert ("yes" if not wrong else "no") == equal
