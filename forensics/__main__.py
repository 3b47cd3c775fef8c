"""`python -m forensics`.

The current directory is taken off the path first: inside a stranger's run directory, a `json.py` lying there
must not be imported in place of the library's.
"""

import os
import sys

sys.path[:] = [entry for entry in sys.path if entry and os.path.realpath(entry) != os.path.realpath(os.getcwd())]  # noqa: PTH109

from forensics.cli import main  # noqa: E402  (after the path is clean)

if __name__ == "__main__":
    main(prog_name="medforensics")
