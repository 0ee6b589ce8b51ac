"""The open alerts of a system, as a server tells of them: read from the ledger now and then, never while somebody waits."""

from __future__ import annotations

from mainspring.ledger import Alert, AlertLog

__all__ = ["OpenAlerts"]


class OpenAlerts:
    """What is open, one alert for each monitor, and how often somebody was told of any, when the ledger was last read.

    Making one reads nothing. `refresh` may run in a thread of its own while others read.
    """

    def __init__(self, system: str, log: AlertLog) -> None:
        self._system, self._log = system, log
        self.open: tuple[Alert, ...] = ()
        self.sends = 0

    def refresh(self) -> None:
        """Read the ledger. Raises WorkspaceError; then what was read before stays."""
        # A loop that was begun anew may have left an alert open beside its own: of a monitor the newest counts.
        newest = {kept.alert.monitor: kept.alert for kept in reversed(self._log.open(self._system))}
        self.sends = self._log.sends(self._system)
        self.open = tuple(newest.values())
