"""The loop: a user's system file is loaded here, and its system is run over history or live by the same step."""

from mainspring.loop.system_file import LoadedSystem, load_system

__all__ = ["LoadedSystem", "load_system"]
