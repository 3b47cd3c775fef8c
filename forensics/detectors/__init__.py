"""Detectors: one module a symptom, run to findings. Adding a file registers it."""
