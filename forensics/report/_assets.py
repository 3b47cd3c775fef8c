"""What the pages are made of: scripts, styles and templates of the package, and the policy that allows no others."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template


def policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """Return a content security policy that names the hash of each script and style, and allows nothing else."""
    return (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes(styles)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hashes(texts: Sequence[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


@cache
def asset(name: str) -> str:
    """Return a file of the package as text."""
    return resources.files("forensics.report").joinpath("assets", name).read_text(encoding="utf-8").strip("\n")


def template(name: str) -> "Template":
    """Return a template that escapes everything that it is given."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(asset(name))
