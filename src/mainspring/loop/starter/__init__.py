"""The starter: a first system file for somebody's data, to be read and corrected.

`survey` finds out what the columns can be declared as, `draft` what each is for, `telltale` which of them give the answer
away, and `script` writes it down. Nothing here is needed to run a system.
"""

from mainspring.loop.starter.write import Starter, write_starter

__all__ = ["Starter", "write_starter"]
