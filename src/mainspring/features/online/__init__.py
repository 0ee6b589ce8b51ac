"""The online state: features of one decision from memory, equal to batch."""

from mainspring.features.online.snapshot import Snapshot, StoredSnapshot, dump_state, load_state, take_snapshot
from mainspring.features.online.state import OnlineState, StateSize

__all__ = ["OnlineState", "Snapshot", "StateSize", "StoredSnapshot", "dump_state", "load_state", "take_snapshot"]
