"""Facts at rest: sources are read, checked against their contracts, and kept in Iceberg tables that never forget a snapshot.

`read_source` makes a frame of what a declaration names, `conform` reads a frame as its table declares it, `Lake.ingest`
keeps what passes and quarantines the rest, `Lake.read` gives it back as of a snapshot, `Lake.sql` answers questions.
"""

from mainspring.lake.contract import Conformed, conform
from mainspring.lake.ingestion import Ingested
from mainspring.lake.lake import Lake
from mainspring.lake.recent import RecentRows
from mainspring.lake.sources import read_source, to_frame

__all__ = ["Conformed", "Ingested", "Lake", "RecentRows", "conform", "read_source", "to_frame"]
