"""The online state: features of one decision from memory, equal to batch."""

from mainspring.features.online.snapshot import dump_state, load_state
from mainspring.features.online.state import OnlineState, StateSize

__all__ = ["OnlineState", "StateSize", "dump_state", "load_state"]
