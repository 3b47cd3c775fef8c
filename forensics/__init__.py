"""Post-mortem of a dead language-model fine-tuning run.

    import forensics
    report = forensics.analyze("runs/llama-lora-17")
    print(report.verdict, report.hypotheses[0].cause)    # broken ds-zero12-comm-corruption

`read` gives the run without a judgement; `read(path).frame()` is a pandas DataFrame of every sample.
Everything else may change between releases.
"""

import sys
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forensics.model import Report, Run

__version__ = "0.1.0"
__all__ = ["__version__", "analyze", "read"]


def analyze(path: str | PathLike[str]) -> "Report":
    """Read a run directory (or one file) and judge it; raises a `forensics.errors.ForensicsError`."""
    from forensics.investigate import investigate
    from forensics.triage.alone import apart_of

    if "IPython" in sys.modules:
        from forensics.report import notebook

        notebook.register()
    return investigate(Path(path), apart=apart_of)


def read(path: str | PathLike[str]) -> "Run":
    """Read a run directory (or one file) without judging it; the weights are not scanned."""
    from forensics.investigate import read as read_path
    from forensics.triage.alone import apart_of

    return read_path(Path(path), apart=apart_of)
