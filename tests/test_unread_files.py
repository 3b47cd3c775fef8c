"""What no reader took is named with the reason, and nothing that was read is named so."""

from pathlib import Path

import numpy as np
import pytest

from forensics.discovery.unread import UNKNOWN_FILE
from forensics.errors import NothingReadableError
from forensics.investigate import investigate


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &a [x]\n" + "b:\n" + "- *a\n" * 200, "more than 100 YAML aliases"),
        ("a: " + "[" * 200 + "]" * 200 + "\n", "nested more than 64 deep"),
        ("weather: fine\n", UNKNOWN_FILE),
    ],
)
def test_yaml_that_is_no_configuration_is_named(tmp_path: Path, text: str, reason: str) -> None:
    """YAML that would exhaust a parser is told from YAML that is none of ours."""
    (tmp_path / "notes.yaml").write_text(text)

    with pytest.raises(NothingReadableError, match=reason):
        investigate(tmp_path)


def test_an_archive_that_was_examined_is_not_unknown(tmp_path: Path) -> None:
    """An npz file is a checkpoint without files of its own; it was read nevertheless."""
    np.savez(tmp_path / "weights.npz", a=np.ones(3))

    assert [skip.reason for skip in investigate(tmp_path / "weights.npz").run.skips if "npz" in skip.what] == []
