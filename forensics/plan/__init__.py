"""The ladder from small to full: a few short runs of which each adds one thing of the run that died."""

from forensics.plan.ladder import Change, Rung, ladder

__all__ = ["Change", "Rung", "ladder"]
