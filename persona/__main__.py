"""`python -m persona` is the `persona` command."""

import sys

from persona.commands import main

if __name__ == "__main__":
    sys.exit(main())
