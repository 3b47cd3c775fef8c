"""`medforensics recorder`: the black box as one file."""

from typing import IO

import click

import forensics
from forensics.commands.shared import EXIT_FINE, guarded, output_option


@click.command()
@output_option
@guarded
def recorder(output: IO[str]) -> int:
    """Write the black box recorder as one Python file, to copy beside a training script (docs/how-to/record.md).

    It needs torch and numpy. Where medforensics is installed, `from forensics.recorder import BlackBox` is the same.

    \b
    Example:
        medforensics recorder > blackbox.py
    """
    from forensics.recorder.join import joined

    output.write(joined(forensics.__version__))
    return EXIT_FINE
