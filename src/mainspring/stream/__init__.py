"""Facts in motion: messages are appended to topics and read by groups, at least once and in order.

`Broker` is the protocol, `EmbeddedLog` the broker that needs no server: the journal of a prediction server, and the way by
which live facts reach the lake.
"""

from mainspring.stream.broker import NO_OFFSET, Broker, Consumer, Message, Record
from mainspring.stream.log import EmbeddedLog
from mainspring.stream.retention import Retention

__all__ = ["NO_OFFSET", "Broker", "Consumer", "EmbeddedLog", "Message", "Record", "Retention"]
