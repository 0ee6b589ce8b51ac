"""SQL over the lake: DuckDB reads the data files of the newest snapshots, and nothing else."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from mainspring.clock import SECOND, format_span
from mainspring.errors import DataError
from mainspring.lake.iceberg import ARRIVED_AT, KNOWN_AT, LAG, SEQ, VISIBLE_AT, broken, load

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    import pyarrow.dataset
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table as IcebergTable

__all__ = ["QueryLimits", "answer"]

_SOURCE = "_files_of_"
_AGAIN_SECONDS = 0.2


@dataclass(frozen=True)
class QueryLimits:
    """What a query may take: at most `rows` of its answer are given, the first ones; past `seconds` it is broken off.

    `memory_megabytes` is what DuckDB may hold; nothing is put aside on disk. It uses `threads` cores.
    """

    rows: int
    seconds: float
    memory_megabytes: int = 512
    threads: int = 1


def answer(catalog: Catalog, namespace: str, query: str, limits: QueryLimits | None = None) -> pl.DataFrame:
    """Answer a SELECT as `Lake.sql` says."""
    import duckdb

    begin = time.monotonic()
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        if limits is not None:
            connection.execute(f"SET threads = {limits.threads}")
            connection.execute(f"SET memory_limit = '{limits.memory_megabytes}MB'")
            connection.execute("SET temp_directory = ''")
        names = _make_views(connection, catalog, namespace)
        connection.execute("SET enable_external_access = false")  # no files, and no Python variables either
        connection.execute("SET lock_configuration = true")
        try:
            _check_reads(connection, query)
            if limits is None:
                return _rows(connection, query)
            with _interrupting(connection, limits.seconds - (time.monotonic() - begin)):
                return _rows(connection, query, limits.rows)
        except duckdb.InterruptException as error:
            if limits is None:
                raise
            raise _too_long(limits) from error
        except duckdb.OutOfMemoryException as error:
            raise _too_large(limits) from error
        except duckdb.CatalogException as error:
            unknown = _unknown_tables(connection, query, names)
            if unknown:
                raise DataError(
                    "DATA_UNKNOWN_TABLE",
                    f"There is no table {', '.join(unknown)} in the lake.",
                    exists=f"There is {', '.join(names)}." if names else "It holds no table yet.",
                    fix="Name one of these." if names else "Ingest a table first: mainspring run FILE.",
                ) from error
            raise _refused(error) from error
        except duckdb.Error as error:
            raise _refused(error) from error


def _rows(connection: duckdb.DuckDBPyConnection, query: str, most: int | None = None) -> pl.DataFrame:
    found = connection.sql(query)
    rows: pl.DataFrame = (found if most is None else found.limit(most)).pl()
    return rows


@contextlib.contextmanager
def _interrupting(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Break off what a connection does in this block once the time is over, as often as it takes."""
    done = threading.Event()

    def watch() -> None:
        wait = max(seconds, 0.0)
        while not done.wait(wait):
            connection.interrupt()
            wait = _AGAIN_SECONDS  # what is told between two steps of a query is forgotten

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()


def _make_views(connection: duckdb.DuckDBPyConnection, catalog: Catalog, own: str) -> list[str]:
    """Make a view for every table and return their names as a query may write them, shortest first."""
    identifiers = sorted(i for namespace in catalog.list_namespaces() for i in catalog.list_tables(namespace))
    count = Counter(name for _, name in identifiers)
    homes = {name: home for home, name in identifiers if home == own or count[name] == 1}
    for number, (home, name) in enumerate(identifiers):
        table = load(catalog, (home, name))
        if table is None:  # it has just gone
            continue
        source = f"{_SOURCE}{number}"
        connection.register(source, _data_files(table))
        view = f"{_quoted(home)}.{_quoted(name)}"
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(home)}")
        connection.execute(f"CREATE VIEW {view} AS SELECT {_columns(table)} FROM {source}")
        if homes.get(name) == home and home != "main":
            connection.execute(f"CREATE VIEW main.{_quoted(name)} AS FROM {view}")
    return [name if homes.get(name) == home else f"{home}.{name}" for home, name in identifiers]


def _columns(table: IcebergTable) -> str:
    names = [field.name for field in table.schema().fields]
    shown = [_quoted(name) for name in names if name not in (ARRIVED_AT, SEQ)]
    if ARRIVED_AT in names:
        known_at, lag = table.properties.get(KNOWN_AT), table.properties.get(LAG, "0")
        visible = (
            f"greatest({_quoted(known_at)} + to_microseconds({int(lag)}::BIGINT), {ARRIVED_AT})"
            if known_at in names
            else "NULL::TIMESTAMPTZ"
        )
        shown.append(f"{visible} AS {VISIBLE_AT}")
    return ", ".join([*shown, SEQ])


def _data_files(table: IcebergTable) -> pa.Table | pa.dataset.Dataset:
    """Return the newest snapshot as an Arrow dataset: DuckDB reads of it only the columns and rows that a query needs."""
    import pyarrow.dataset
    from pyiceberg.io.pyarrow import PyArrowFileIO, schema_to_pyarrow

    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    files = [task.file.file_path for task in table.scan().plan_files()]
    if not files:
        return schema.empty_table()
    places = [PyArrowFileIO.parse_location(file, table.io.properties) for file in files]
    scheme, netloc, _ = places[0]
    filesystem = PyArrowFileIO(table.io.properties).fs_by_scheme(scheme, netloc)
    paths = [path for _, _, path in places]
    try:
        return pyarrow.dataset.dataset(paths, schema=schema, format="parquet", filesystem=filesystem)
    except FileNotFoundError as error:
        raise broken(table.name()[-1], error) from error


def _check_reads(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    import duckdb

    statements = connection.extract_statements(query)
    allowed = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
    if len(statements) != 1 or statements[0].type not in allowed:
        raise DataError(
            "DATA_SQL",
            "The lake answers one SELECT at a time and changes nothing.",
            fix="Write a single query, for example: SELECT count(*) FROM a_table.",
        )


def _unknown_tables(connection: duckdb.DuckDBPyConnection, query: str, names: list[str]) -> list[str]:
    import duckdb

    try:
        used = connection.get_table_names(query)
    except duckdb.Error:  # it is no table that is unknown
        return []
    known = {name.rpartition(".")[2] for name in names}
    return sorted(name for name in used if name not in known and not name.startswith(_SOURCE))


def _too_long(limits: QueryLimits) -> DataError:
    return DataError(
        "DATA_SQL",
        f"The query took longer than {format_span(round(limits.seconds * SECOND))} and was broken off.",
        fix="Ask for less: fewer days, a column instead of all, a sum instead of rows; mainspring sql has no such limit.",
    )


def _too_large(limits: QueryLimits | None) -> DataError:
    told = "than there is" if limits is None else f"than the {limits.memory_megabytes} MB that it may use"
    return DataError(
        "DATA_SQL",
        f"The query needs more memory {told}.",
        fix="Group by fewer things, sort fewer rows, or name the columns instead of all.",
    )


def _refused(error: Exception) -> DataError:
    told: Any = str(error).partition("\nLINE")[0]
    return DataError(
        "DATA_SQL",
        f"The query cannot be answered: {' '.join(told.split())}",
        fix="Correct it; DESCRIBE a_table lists the columns of a table.",
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
