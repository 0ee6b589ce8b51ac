"""Labels: what came true, and when that became known; and what is known sooner."""

from mainspring.labels.maturity import Labels, mature
from mainspring.labels.proxies import mature_frictions, mature_proxies

__all__ = ["Labels", "mature", "mature_frictions", "mature_proxies"]
