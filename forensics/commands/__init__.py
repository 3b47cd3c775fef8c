"""Commands that stand in files of their own; `forensics.cli` registers them."""
