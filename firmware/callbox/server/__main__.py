"""`python -m callbox.server run ...`: the server's commands without the box's command line."""

import sys

from callbox.base.errors import CallboxError
from callbox.server.commands import main

if __name__ == "__main__":
    try:
        sys.exit(main())
    except CallboxError as error:
        print(f"callbox: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
