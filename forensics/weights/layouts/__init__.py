"""Checkpoint layouts: one module a framework. Each recognises its folders and says what lies in them."""
