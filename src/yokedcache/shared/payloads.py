"""
Entries as bytes: what was answered, and what has to be known of it elsewhere.

Values go through the codec. What only a part of the library can take apart (rows of a
statement, mapped objects) is written in forms that it registers here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from yokedcache.codec.registry import dump, load
from yokedcache.core.classes import find, name_of
from yokedcache.core.kept_errors import raise_anew
from yokedcache.core.values import isolate
from yokedcache.errors import PayloadError, ValueNotStorableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.core.entry import Entry
    from yokedcache.shared.belonging import Belonging


class Form(NamedTuple):
    """
    How some entries' values are written, and made again with what copies them.
    """

    tells: Callable[[Entry], bool]
    to_plain: Callable[[Entry], Any]
    from_plain: Callable[[Any], tuple[Any, Any]]


class Told(NamedTuple):
    """
    What the bytes of an entry say.
    """

    value: Any
    copier: Any
    names: tuple[str, ...]
    """Its tags, the process's own among them."""
    cost: float
    early: float
    on_error: float
    """Seconds before and after its TTL; see `Lifetime`."""


def _plain(entry: Entry) -> Any:
    return entry.value


def _from_plain(plain: Any) -> tuple[Any, Any]:
    kept = isolate(plain)
    return kept.value, kept.copier


def _error_parts(entry: Entry) -> Any:
    error: Exception = entry.value
    name = name_of(type(error))
    if name is None:
        raise ValueNotStorableError(
            f"{error!r} can't be shared: its class isn't found under its name"
        )
    return [name, list(error.args), dict(error.__dict__)]


def _from_error(plain: Any) -> tuple[Any, Any]:
    name, args, facts = plain
    cls = find(name)
    if not (isinstance(cls, type) and issubclass(cls, Exception)):
        raise PayloadError(f"the stored payload holds no exception: {name!r}")
    error = cls.__new__(cls, *args)
    error.args = tuple(args)
    error.__dict__.update(facts)
    return error, raise_anew


_forms: Final[dict[str, Form]] = {
    "error": Form(lambda e: e.copier is raise_anew, _error_parts, _from_error),
}
_PLAIN: Final = Form(lambda _: True, _plain, _from_plain)
_AS_IS: Final = Form(lambda e: e.copier is None, _plain, lambda plain: (plain, None))


_UNSIGNED: Final[list[bytes]] = []


class StrangerError(PayloadError):
    """
    What is stored is another application's.
    """


def register_form(name: str, form: Form) -> None:
    """
    Have entries that a form tells apart written in it.
    """
    _forms[name] = form


def pack(entry: Entry, belonging: Belonging) -> bytes:
    """
    Write an entry down.

    Args:
        belonging: whose it is.

    Raises:
        ValueNotStorableError: its value has no exact form as bytes, or, with a `size`,
            so many of them that no reader would take it.
    """
    name, form = next(
        ((name, form) for name, form in _forms.items() if form.tells(entry)),
        ("", _PLAIN),
    )
    names = [tag.name for tag, _ in entry.vector if isinstance(tag.name, str)]
    early = entry.fresh_until - entry.soft_until
    late = entry.error_until - entry.stale_until
    # most have none, and a whole number takes one byte
    parts = [name, names, entry.cost, early or 0, late or 0, form.to_plain(entry)]
    signed = belonging.sign(names)
    return dump([*parts, signed] if signed else parts)


def unpack(
    data: bytes | memoryview, belonging: Belonging, *, copy: bool = True
) -> Told:
    """
    Read what `pack` wrote.

    Args:
        belonging: whose it must be.

    Raises:
        PayloadError: it can't be read here.
        StrangerError: another application has written it.
    """
    told: Any = load(bytes(data))
    try:
        name, names, cost, early, late, plain, *signed = told
        _check_writer(belonging, *signed)
        form = _forms[name] if name else _PLAIN if copy else _AS_IS
        value, copier = form.from_plain(plain)
        return Told(value, copier, tuple(names), cost, early, late)
    except PayloadError:
        raise
    except Exception as error:
        message = f"the stored payload can't be made sense of: {error!r}"
        raise PayloadError(message[:300]) from error


def _check_writer(belonging: Belonging, signed: list[bytes] = _UNSIGNED) -> None:
    if belonging.strange(signed):
        raise StrangerError("another application has stored it")


def imprint(payload: bytes | memoryview, born: float) -> object:
    """
    Tell an entry's bytes from others that were stored under its key.
    """
    return hash(payload), len(payload), round(born * 1000)
