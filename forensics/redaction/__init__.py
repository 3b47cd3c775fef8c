"""Secrets and identities taken out of texts; the same value always becomes the same token."""

from forensics.redaction.redactor import NOT_MASKED, Redactor, visible

__all__ = ["NOT_MASKED", "Redactor", "visible"]
