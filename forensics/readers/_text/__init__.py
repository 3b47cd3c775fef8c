"""The families of lines that trainers, engines and launchers write into a text log: one module a family.

A family scans windows without knowing of each other (`scan_window`), so that windows may be scanned in several
processes; what needs the whole file (steps from progress bars, folding of ranks) is settled afterwards.
"""
