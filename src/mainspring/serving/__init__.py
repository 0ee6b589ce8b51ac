"""Serving: who may ask, how much, and what is answered.

Nothing here imports training or evaluation, not even at second hand: the served image stays small.
"""

from mainspring.serving.access import Access, Grant
from mainspring.serving.limits import Limits, RateLimiter

__all__ = ["Access", "Grant", "Limits", "RateLimiter"]
