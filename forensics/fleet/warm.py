"""Imported once by the process from which workers fork: all that every run needs."""

from forensics import catalog, investigate

catalog.readers()
catalog.detectors()
catalog.rules()

__all__ = ["catalog", "investigate"]
