"""What an installation weighs: site-packages with bytecode, without pip and setuptools, from a warm cache of uv.

    python benchmarks/installation.py

Needs uv and a package index.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

ROOT = Path(__file__).parent.parent
KINDS = {
    "medforensics": ("",),
    "medforensics[fast]": ("[fast]",),
    "medforensics[tensorboard]": ("[tensorboard]",),
    "all that 0.1.0 brought": ("[fast,tensorboard]", "safetensors"),
}
"""What is installed: extras of ours, and packages beside it."""


def main() -> None:
    rows = []
    for name, (extras, *beside) in KINDS.items():
        with tempfile.TemporaryDirectory() as made:
            _install(Path(made) / "warm", extras, beside)
            started = time.perf_counter()
            _install(Path(made) / "measured", extras, beside)
            seconds = time.perf_counter() - started
            (site,) = (Path(made) / "measured").glob("lib/python*/site-packages")
            size = subprocess.run(["du", "-sm", str(site)], capture_output=True, text=True, check=True).stdout
            rows.append((name, size.split()[0], f"{seconds:.1f}"))
    print(tabulate(rows, headers=("installed", "MB", "wall s"), tablefmt="github", disable_numparse=True))


def _install(place: Path, extras: str, beside: list[str]) -> None:
    subprocess.run(["uv", "venv", "-q", "--python", sys.executable, str(place)], check=True)
    wanted = [f"medforensics{extras} @ {ROOT.as_uri()}", *beside]
    subprocess.run(["uv", "pip", "install", "-q", "--compile-bytecode", "--python", str(place), *wanted], check=True)


if __name__ == "__main__":
    main()
