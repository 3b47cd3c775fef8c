"""What a text tells besides its numbers: warnings, milestones and how the process died, as typed events.

Any reader may ask: `scan_window` for a window of a log, `of_lines` for a few lines from a notebook, an issue or a
witness. The words of deaths are in `forensics.signatures`; here is how they are found, and told from quotes of them.
"""
