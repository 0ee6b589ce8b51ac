"""The loop: a user's system file is loaded here, built stage by stage, and run over history or live by the same step.

What builds a system is in `loop.build`, and not here: who serves one needs no training and no evaluation.
"""

from mainspring.loop.system_file import LoadedSystem, load_system

__all__ = ["LoadedSystem", "load_system"]
