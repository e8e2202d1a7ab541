"""
Isolation: a caller may change what it got without changing what is cached.

`isolate` is called when a value is stored. It keeps immutable values as they
are, to be shared by everyone, and takes a private copy of all else, together
with the cheapest function that makes an equal, independent copy on every hit:
`dict.copy` for a flat dict, a recursive copier for trees of builtins and
records, `copy.deepcopy` where parts are shared, circular or unknown.

What is used up by reading it, or bound to the moment (iterators, open files,
sockets, sessions, locks), can't be kept and is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from yokedcache.core.copiers import (
    ATOMS,
    copy_tree,
    custom_copier,
    meet_imported,
    register_isolation,
)
from yokedcache.core.flaws import Flaw, type_name
from yokedcache.core.surveys import Shape, survey
from yokedcache.core.weights import weigh
from yokedcache.errors import ValueNotStorableError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Isolated", "isolate", "register_isolation", "weigh"]

MOST_SHOWN: Final = 80
"""Characters of another library's message that go into ours."""


class Isolated(NamedTuple):
    """
    A value nobody else holds, and how to make a copy of it for a caller.
    """

    value: Any
    copier: Callable[[Any], Any] | None
    """What gives a caller's own copy; `None` if the value may be shared."""


def isolate(value: Any) -> Isolated:
    """
    Take a value into the cache, so that nobody else can change it there.
    """
    flat = _isolate_flat(value)
    if flat is None and meet_imported():
        flat = _isolate_flat(value)
    if flat is not None:
        return flat
    try:
        return _isolate(value)
    except Flaw as flaw:
        raise _refusal(flaw) from None
    except RecursionError:
        raise _refusal(Flaw(value, "nests too deep")) from None


def _isolate_flat(value: Any) -> Isolated | None:
    """
    Isolate what is flat, which is most of what is stored; C does all of this.
    """
    cls = type(value)
    if cls in ATOMS:
        return Isolated(value, None)
    if cls is dict and _all_atoms(value) and _all_atoms(value.values()):
        return Isolated(value.copy(), dict.copy)
    if cls is list and _all_atoms(value):
        return Isolated(value.copy(), list.copy)
    return None


def _isolate(value: Any) -> Isolated:
    if _is_flat_table(value):
        return Isolated(_copy_table(value), _copy_table)
    shape = Shape()
    if survey(value, shape):
        return Isolated(value, None)
    if shape.knotted:
        private = _knotted_copier(value, shape)(value)
        shape = Shape()
        survey(private, shape)
        return Isolated(private, _knotted_copier(private, shape))
    return Isolated(copy_tree(value), copy_tree)


def _knotted_copier(value: Any, shape: Shape) -> Callable[[Any], Any]:
    """
    Give a copier that keeps shared and circular references as they are.
    """
    import copy

    custom = [(part, custom_copier(type(part))) for part in shape.custom]

    def copier(original: Any) -> Any:
        # Parts with a copier of their own are copied first and found in the memo.
        memo = {id(part): own(part) for part, own in custom if own is not None}
        try:
            return copy.deepcopy(original, memo)
        except RecursionError:
            raise
        except Exception as error:
            reason = f"can't be copied ({str(error)[:MOST_SHOWN]})"
            raise _refusal(Flaw(value, reason)) from error

    return copier


def _all_atoms(values: Any) -> bool:
    return ATOMS.issuperset(map(type, values))


def _is_flat_table(value: Any) -> bool:
    """
    Tell a list of flat dicts: rows, the shape that queries give most often.
    """
    return (
        type(value) is list
        and all(
            type(row) is dict and _all_atoms(row) and _all_atoms(row.values())
            for row in value
        )
        and len(set(map(id, value))) == len(value)  # one row twice stays one row
    )


def _copy_table(value: list[dict[Any, Any]]) -> list[dict[Any, Any]]:
    return list(map(dict.copy, value))


def _refusal(flaw: Flaw) -> ValueNotStorableError:
    path = flaw.path("result")
    type_ = type_name(flaw.culprit)
    message = f"{path} ({type_}) can't be cached: it {flaw.reason}"
    return ValueNotStorableError(message, path=path, type=type_)
