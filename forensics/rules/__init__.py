"""Rules: one module a cause or mechanism, finding to evidence. Adding a file registers it."""
