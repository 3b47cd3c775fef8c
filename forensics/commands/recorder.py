"""`medforensics recorder`: the black box as one file."""

import click

import forensics
from forensics.commands.errors import EXIT_FINE
from forensics.commands.output import Output
from forensics.commands.shared import guarded, output_option


@click.command()
@output_option
@guarded
def recorder(output: Output) -> int:
    """Write the black box recorder as one Python file, to copy beside a training script (docs/how-to/record.md).

    It needs torch and numpy. Where medforensics is installed, `from forensics.recorder import BlackBox` is the same.

    \b
    Example:
        medforensics recorder > blackbox.py
    """
    from forensics.recorder.join import joined

    output.write(joined(forensics.__version__))
    return EXIT_FINE
