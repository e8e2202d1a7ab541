"""
What the short way knows of one statement shape.

Where its parameters come from, and what its results look like.

Both are read off what SQLAlchemy made for the shape the first time: the match
of cache-key binds to compiled binds, and the metadata of a result that its own
loader built.
"""

from __future__ import annotations

import itertools
from copy import copy
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any
from weakref import ref

from sqlalchemy.engine.result import ChunkedIteratorResult

from yokedcache.sqlalchemy.answers.blueprints import Stamp
from yokedcache.sqlalchemy.answers.stamping import stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy.engine import CursorResult
    from sqlalchemy.orm import Session

    from yokedcache.sqlalchemy.answers.blueprints import Template

Getter = tuple[int, Any, Any]


class Shape:
    """
    One compiled statement that was served from templates.
    """

    __slots__ = ("_attributes", "_compiled", "_getters", "_metadata", "sketches")

    def __init__(self, compiled: Any) -> None:
        self._compiled = ref(compiled)
        self._getters = _getters(compiled)
        self.sketches = 0
        """How many sketches lead here, or have been refused."""
        self._metadata: Any = None
        self._attributes: Any = None

    def compiled(self) -> Any:
        """
        Give the compiled statement, or `None` when SQLAlchemy dropped it.
        """
        return self._compiled()

    def values(self, given: Sequence[Any]) -> tuple[Any, ...]:
        """
        Give the parameters as the driver would be sent them, in their order.

        Args:
            given: The binds of a statement's cache key.
        """
        return values_of(self._getters, given)

    def getters_for(self, given: Sequence[Any], places: Sequence[Any]) -> list[Getter]:
        """
        Match the parameters with the same binds in another order.
        """
        order = {id(bind): index for index, bind in enumerate(places)}
        return [
            (index if index < 0 else order[id(given[index])], bind, process)
            for index, bind, process in self._getters
        ]

    def result(
        self,
        session: Session,
        statement: Any,
        options: Any,
        template: Template,
        replayed: Callable[[], CursorResult[Any]],
    ) -> Any:
        """
        Give the result of a statement of this shape.
        """
        compiled: Any = self._compiled()

        def load(cursor: Any) -> Any:
            return type(compiled.compile_state).orm_setup_cursor_result(
                session, statement, {}, options, {}, cursor
            )

        if self._metadata is None or statement._with_options:
            made = load(stamped(compiled, template, replayed))
            if not compiled.compile_state.multi_row_eager_loaders:
                self._metadata = released(made._metadata, self._compiled)
                self._attributes = made._attributes
            return made
        stamp = Stamp(session, (), next(_runs))

        def chunks(size: int | None) -> Iterator[Sequence[Any]]:
            if stamp.killed or (size is None and stamp.fits(template)):
                yield stamp.instances(template)
            else:
                yield from load(replayed()).chunks(size)

        result: Any = ChunkedIteratorResult(
            self._metadata, chunks, source_supports_scalars=True
        )
        result._attributes = self._attributes
        return result


class _Released:
    """
    What is left of a load's context for those that want unique results later on.
    """

    __slots__ = ("_compiled", "load_options")

    def __init__(self, load_options: Any, compiled: Callable[[], Any]) -> None:
        self.load_options = load_options
        self._compiled = compiled

    @property
    def compile_state(self) -> Any:
        """
        The compiled statement's; it is there as long as anybody has a result of it.
        """
        return self._compiled().compile_state


def released(metadata: Any, compiled: Callable[[], Any]) -> Any:
    """
    Give a result's metadata that doesn't keep its session alive.

    SQLAlchemy 2.1 makes the filters of `unique()` when they are asked for, by a function
    that has the context of the load, and so its session, in a cell.
    """
    made = getattr(metadata, "_create_unique_filters", None)
    if made is None:
        return metadata
    cells = [
        CellType(_Released(cell.cell_contents.load_options, compiled))
        if name == "context"
        else cell
        for name, cell in zip(
            made.__code__.co_freevars, made.__closure__ or (), strict=True
        )
    ]
    kept = copy(metadata)
    kept._create_unique_filters = FunctionType(
        made.__code__, made.__globals__, made.__name__, None, tuple(cells)
    )
    return kept


def values_of(getters: list[Getter], given: Sequence[Any]) -> tuple[Any, ...]:
    """
    Give the values of binds, processed.
    """
    values = []
    for index, bind, process in getters:
        source = bind if index < 0 else given[index]
        value = source.effective_value if bind.callable else source.value
        values.append(value if process is None else process(value))
    return tuple(values)


_runs = itertools.count(-1, -1)
"""Numbers of loads, below those of SQLAlchemy's own loader."""


def _getters(compiled: Any) -> list[Getter]:
    """
    Match each parameter with its place among the binds of a cache key.
    """
    matches = compiled._cache_key_bind_match[0]
    places = {
        bind: index
        for index, key_bind in enumerate(compiled.cache_key.bindparams)
        for bind in matches[key_bind]
    }
    binds = {name: bind for bind, name in compiled.bind_names.items()}
    names = compiled.positiontup if compiled.positional else list(binds)
    processors = compiled._bind_processors
    return [
        (places.get(binds[name], -1), binds[name], processors.get(name))
        for name in names
    ]
