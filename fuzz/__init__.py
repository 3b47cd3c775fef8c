"""Every parser of a stranger's bytes, fed with mutants: `python -m fuzz`, see CONTRIBUTING."""
