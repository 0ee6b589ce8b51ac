"""`python -m mainspring` is the command `mainspring`."""

import sys

from mainspring.cli import main

sys.exit(main())
