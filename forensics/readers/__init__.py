"""Readers: one module a format, artifact to facts. Adding a file registers it."""
