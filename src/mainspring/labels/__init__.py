"""Labels: what came true, and when that became known."""

from mainspring.labels.maturity import Labels, mature

__all__ = ["Labels", "mature"]
