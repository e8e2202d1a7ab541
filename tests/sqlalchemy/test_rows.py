"""
Recordings: taken down whole or not at all, played again as the driver would give them.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import column, create_engine, event, func, select, table, text
from sqlalchemy.engine import Connection, CursorResult, Engine
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.exc import OperationalError, ResourceClosedError
from sqlalchemy.pool import StaticPool

from yokedcache.errors import ValueNotStorableError
from yokedcache.sqlalchemy.answers.offline import prepare
from yokedcache.sqlalchemy.answers.rows import Recording, record, replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NUMBERS = table("numbers", column("n"), column("name"))
ALL = select(NUMBERS.c.n, NUMBERS.c.name).order_by(NUMBERS.c.n)


class Tape:
    """
    Both callbacks of `record`, and what they were told.
    """

    def __init__(self) -> None:
        self.recordings: list[Recording] = []
        self.reasons: list[str] = []

    @property
    def callbacks(self) -> dict[str, Any]:
        return {
            "on_complete": self.recordings.append,
            "on_abandon": self.reasons.append,
        }


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE numbers (n INTEGER, name TEXT)")
        connection.exec_driver_sql(
            "INSERT INTO numbers VALUES (?, ?)", [(n, f"name {n}") for n in range(7)]
        )
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection


def played(engine: Engine, recording: Recording, statement: Any = ALL) -> Any:
    options = statement._execution_options.merge_with(engine._execution_options)
    prepared = prepare(statement, None, engine, engine._execution_options, options)
    return replay(prepared, recording)


def recorded(connection: Connection, statement: Any = ALL) -> Recording:
    tape = Tape()
    record(connection.execute(statement), **tape.callbacks).all()
    return tape.recordings[0]


def one_by_one(result: CursorResult[Any]) -> list[Any]:
    return list(iter(result.fetchone, None))


def by_threes(result: CursorResult[Any]) -> list[Any]:
    rows: list[Any] = []
    while some := result.fetchmany(3):
        rows.extend(some)
    return rows


def mixed(result: CursorResult[Any]) -> list[Any]:
    return [result.fetchone(), *result.fetchmany(2), *result.fetchall()]


def partitions(result: CursorResult[Any]) -> list[Any]:
    return [row for part in result.partitions(2) for row in part]


def yield_per(result: CursorResult[Any]) -> list[Any]:
    return list(result.yield_per(2))


FETCHES = [CursorResult.all, list, one_by_one, by_threes, mixed, partitions, yield_per]


@pytest.mark.parametrize("fetch", FETCHES, ids=lambda f: f.__name__)
def test_records_all_rows_however_they_are_fetched(
    connection: Connection, fetch: Callable[[Any], list[Any]]
) -> None:
    tape = Tape()
    rows = fetch(record(connection.execute(ALL), **tape.callbacks))
    assert rows == [(n, f"name {n}") for n in range(7)]
    assert [recording.rows for recording in tape.recordings] == [tuple(rows)]
    assert tape.recordings[0].description == (("n", None), ("name", None))
    assert tape.reasons == []


@pytest.mark.parametrize("fetch", FETCHES, ids=lambda f: f.__name__)
def test_plays_however_it_is_fetched(
    engine: Engine, connection: Connection, fetch: Callable[[Any], list[Any]]
) -> None:
    recording = recorded(connection)
    assert fetch(played(engine, recording)) == fetch(connection.execute(ALL))


@given(
    count=st.integers(0, 7),
    steps=st.lists(st.sampled_from(["one", "all", 1, 2, 3, 8]), min_size=1, max_size=6),
)
def test_recording_and_replay_equal_the_cursor(
    count: int, steps: list[Any], engine: Engine
) -> None:
    def fetched(result: CursorResult[Any]) -> list[Any]:
        found: list[Any] = []
        for step in steps:
            if step == "one":
                found.append(result.fetchone())
            elif step == "all":
                found.append(result.fetchall())
            else:
                found.append(result.fetchmany(step))
        return found

    statement = ALL.where(NUMBERS.c.n < count)
    with engine.connect() as connection:
        expected = fetched(connection.execute(statement))
        tape = Tape()
        assert fetched(record(connection.execute(statement), **tape.callbacks)) == (
            expected
        )
        assert len(tape.recordings) + len(tape.reasons) <= 1
        recording = recorded(connection, statement)
    assert all(one == recording for one in tape.recordings)
    assert fetched(played(engine, recording, statement)) == expected


@pytest.mark.parametrize(
    "take",
    [CursorResult.first, CursorResult.scalar, CursorResult.fetchone],
    ids=lambda take: take.__name__,
)
def test_a_result_closed_early_is_forgotten(
    connection: Connection, take: Callable[[Any], Any]
) -> None:
    tape = Tape()
    result = record(connection.execute(ALL), **tape.callbacks)
    assert take(result) in {(0, "name 0"), 0}
    result.close()
    assert tape.recordings == []
    assert tape.reasons == ["closed_early"]


def test_one_row_that_was_the_last_is_kept_when_looking_is_cheap(
    connection: Connection,
) -> None:
    tape = Tape()
    statement = select(func.count()).select_from(NUMBERS)
    assert record(connection.execute(statement), drain=1, **tape.callbacks).scalar()
    assert [recording.rows for recording in tape.recordings] == [((7,),)]
    record(connection.execute(ALL), drain=1, **tape.callbacks).first()
    assert tape.reasons == ["closed_early"]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"max_rows": 3}, "too_many_rows"), ({"max_bytes": 300}, "too_large")],
)
@pytest.mark.parametrize("fetch", FETCHES, ids=lambda f: f.__name__)
def test_past_the_limits_the_caller_still_gets_every_row(
    connection: Connection,
    fetch: Callable[[Any], list[Any]],
    limits: dict[str, int],
    reason: str,
) -> None:
    tape = Tape()
    rows = fetch(record(connection.execute(ALL), **limits, **tape.callbacks))
    assert len(rows) == 7
    assert (tape.recordings, tape.reasons) == ([], [reason])


def test_first_row_of_a_large_result_reads_no_more_than_unrecorded(
    connection: Connection,
) -> None:
    seen: list[int] = []
    dbapi: Any = connection.connection.driver_connection
    dbapi.create_function("seen", 1, lambda n: seen.append(n) or n)
    many = text(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 9999)"
        " SELECT seen(n) FROM c"
    )

    def first(result: CursorResult[Any]) -> int:
        seen.clear()
        assert result.first() == (1,)
        return len(seen)

    plain = first(connection.execute(many))
    assert first(record(connection.execute(many), **Tape().callbacks)) == plain


def test_an_error_while_fetching_is_raised_and_forgets(connection: Connection) -> None:
    def fails(n: int) -> int:
        return n // (n - 3)

    dbapi: Any = connection.connection.driver_connection
    dbapi.create_function("fails", 1, fails)
    tape = Tape()
    statement = select(func.fails(NUMBERS.c.n)).order_by(None)
    result = record(connection.execute(statement), **tape.callbacks)
    with pytest.raises(OperationalError, match="user-defined function"):
        one_by_one(result)
    result.close()
    assert (tape.recordings, tape.reasons) == ([], ["error"])


def test_a_statement_without_rows_is_abandoned_at_once(connection: Connection) -> None:
    tape = Tape()
    record(connection.execute(text("PRAGMA user_version = 0")), **tape.callbacks)
    assert (tape.recordings, tape.reasons) == ([], ["no_rows"])


def test_nothing_of_the_execution_is_reachable_from_a_recording(
    connection: Connection,
) -> None:
    found: list[Any] = [recorded(connection)]
    reached = {id(found[0]): found[0]}
    while found:
        for referent in gc.get_referents(found.pop()):
            if id(referent) not in reached and not isinstance(referent, type):
                reached[id(referent)] = referent
                found.append(referent)
    kinds = {type(value) for value in reached.values()}
    assert kinds <= {Recording, tuple, str, int, type(None)}
    assert not any(
        isinstance(value, (Connection, CursorResult, ExecutionContext))
        for value in reached.values()
    )


def test_mutable_values_are_the_callers_own() -> None:
    recording = Recording((("a", None), ("b", None)), ((1, {"x": [1]}), (2, None)))
    first, _ = recording.isolated_rows()
    first[1]["x"].append(2)
    assert recording.isolated_rows() == [(1, {"x": [1]}), (2, None)]


def test_rows_of_immutable_values_are_shared() -> None:
    recording = Recording((("a", None),), ((1,), ("text",)))
    assert recording.isolated_rows() is recording.rows


def test_a_caller_who_changes_a_row_while_reading_changes_no_recording(
    connection: Connection,
) -> None:
    tape = Tape()
    result = connection.execute(ALL)
    cursor: Any = result.cursor

    class Documents:
        description = (("n", None), ("document", None))

        def __getattr__(self, name: str) -> Any:
            return getattr(cursor, name)

        def fetchone(self) -> Any:
            row = cursor.fetchone()
            return row and (row[0], {"of": [row[1]]})

    result.cursor = Documents()  # type: ignore[assignment]
    record(result, **tape.callbacks)
    while row := result.fetchone():
        row[1]["of"].clear()
    assert tape.recordings[0].rows[0] == (0, {"of": ["name 0"]})


def test_views_of_bytes_stay_views() -> None:
    recording = Recording((("b", 17),), ((memoryview(b"abc"),),))
    plain = recording.packed()
    assert plain[1:] == (((b"abc",),), -1, (0,))
    for kept in (recording, Recording.unpacked(plain)):
        ((view,),) = kept.isolated_rows()
        assert isinstance(view, memoryview)
        assert bytes(view) == b"abc"


def test_bytes_among_views_of_bytes_are_not_packed() -> None:
    recording = Recording((("b", 17),), ((memoryview(b"a"),), (b"b",)))
    with pytest.raises(ValueNotStorableError):
        recording.packed()


def test_a_played_result_answers_what_applications_ask(
    engine: Engine, connection: Connection
) -> None:
    recording = recorded(connection)

    def fresh() -> Any:
        return played(engine, recording)

    assert list(fresh().keys()) == ["n", "name"]
    assert fresh().mappings().first() == {"n": 0, "name": "name 0"}
    assert fresh().scalars().all() == list(range(7))
    assert fresh().columns("name").scalars().first() == "name 0"
    assert fresh().unique(lambda row: row[0] % 2).all() == [
        (0, "name 0"),
        (1, "name 1"),
    ]
    assert fresh().freeze()().all() == fresh().all()
    assert fresh().merge(fresh()).all() == fresh().all() * 2
    assert fresh().returns_rows
    assert fresh().rowcount == connection.execute(ALL).rowcount
    assert fresh().lastrowid is None
    assert not fresh().is_insert
    assert [row._mapping[NUMBERS.c.n] for row in fresh()] == list(range(7))
    assert fresh().context.engine is engine


def test_a_played_result_closes_as_any_other(
    engine: Engine, connection: Connection
) -> None:
    result = played(engine, recorded(connection))
    result.close()
    with pytest.raises(ResourceClosedError):
        result.all()
    spent = played(engine, recorded(connection))
    assert len(spent.all()) == 7
    assert spent.all() == []
    assert spent.fetchone() is None


@pytest.mark.parametrize("what", ["connection", "cursor"])
def test_what_needs_a_server_says_so(
    engine: Engine, connection: Connection, what: str
) -> None:
    result = played(engine, recorded(connection))
    with pytest.raises(AttributeError, match="answered from the cache"):
        getattr(result, what).info  # noqa: B018


def test_preserved_rowcount_is_the_recorded_one(
    engine: Engine, connection: Connection
) -> None:
    statement = ALL.execution_options(preserve_rowcount=True)
    recording = Recording((("n", None), ("name", None)), (), rowcount=42)
    assert played(engine, recording, statement).rowcount == 42


def test_rows_are_logged_as_the_engine_logs_rows(
    caplog: pytest.LogCaptureFixture, connection: Connection
) -> None:
    caplog.set_level("DEBUG", "sqlalchemy.engine.Engine")
    recording = Recording((("n", None), ("name", None)), ((1, "one"),))
    played(connection.engine, recording).all()
    assert "Row (1, 'one')" in caplog.messages


def test_listeners_of_the_driver_are_not_told(
    engine: Engine, connection: Connection
) -> None:
    recording = recorded(connection)
    told: list[Any] = []

    def tell(*args: Any) -> None:
        told.append(args)

    event.listen(engine, "before_cursor_execute", tell)
    try:
        assert played(engine, recording).all()
    finally:
        event.remove(engine, "before_cursor_execute", tell)
    assert told == []
