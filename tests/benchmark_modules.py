"""Programs of benchmarks/ as modules, without their folder on the path: it would hide test folders of its names."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def loaded(name: str, folder: Path = BENCHMARKS) -> Any:
    """Import a program from its file under its own name, so that programs which import each other find it."""
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
