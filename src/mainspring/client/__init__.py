"""The client: facts in, predictions out, from any program; no rows are lost and none counts twice, whatever fails between.

It knows a server by its HTTP alone, so a program that uses it needs nothing else of Mainspring, and Polars only to send
frames.
"""

from mainspring.answers import Arm, Arms, Failure, Judged, Kept, Outcome, Pending, Prediction, Rejection
from mainspring.client.async_client import AsyncClient
from mainspring.client.client import Client

__all__ = [
    "Arm", "Arms", "AsyncClient", "Client", "Failure", "Judged", "Kept", "Outcome", "Pending", "Prediction", "Rejection",
]  # fmt: skip
