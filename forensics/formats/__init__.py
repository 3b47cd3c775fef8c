"""Formats: bytes to structures. Nothing here knows what a run is; each module is usable alone."""
