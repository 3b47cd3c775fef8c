"""`medforensics skill`: what an agent should know to use the tool, as a skill file."""

import click

from forensics.commands.errors import EXIT_FINE
from forensics.commands.shared import guarded


@click.command()
@guarded
def skill() -> int:
    """Print a skill file: how an agent calls medforensics and what it may make of the answer.

    \b
    Example:
        medforensics skill > SKILL.md
    """
    from importlib import resources

    text = resources.files("forensics.commands").joinpath("assets/SKILL.md").read_text(encoding="utf-8")
    click.echo(text, nl=False)
    return EXIT_FINE
