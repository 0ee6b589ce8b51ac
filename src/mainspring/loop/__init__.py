"""The loop: a user's system file is loaded here, built stage by stage, and run over history or live by the same step."""

from mainspring.loop.build import Built, build
from mainspring.loop.stages import Progress
from mainspring.loop.system_file import LoadedSystem, load_system

__all__ = ["Built", "LoadedSystem", "Progress", "build", "load_system"]
