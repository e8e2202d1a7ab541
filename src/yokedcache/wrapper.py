"""
The wrapper around a cached function, compiled with the function's own signature.

CPython binds the arguments, the key is one tuple of values and their classes,
and a plain hit is one frame: a dictionary look-up, one comparison that stands
for "nothing was bumped since", one clock reading, one count. Whatever isn't
plain goes to `slow`, which takes the bound arguments.

What the body refers to are globals of the wrapper's own, the cheapest names
that CPython has after locals. A wrapper is made before it is known which cache
it belongs to, so some are filled in later by `Cells.bind`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from yokedcache.errors import DeclarationError

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable

    from yokedcache.stores.memory import MemoryStore

_PLAIN = """\
{kind} _yc_wrapper({parameters}):
    try:
        _yc_entry = _yc_entries[_yc_token, {key}]
    except _yc_error:
        pass
    else:
        if _yc_entry.pulse == _yc_pulse.value and _yc_now() < _yc_entry.plain_until:
            _yc_entry.hits += 1
            return _yc_entry.given
    return {wait}_yc_slow({bound})
"""
# The slow path is outside the `except`: what the function raises must not look
# as if it came of the miss.

_CAREFUL = """\
{kind} _yc_wrapper({parameters}):
    return {wait}_yc_slow({bound})
"""

# Kinds of parameters go by their names: `inspect` is slow to import.
_POSITIONAL: Final = "POSITIONAL_ONLY"
_KEYWORD: Final = "KEYWORD_ONLY"
_STARS: Final = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}


class Cells:
    """
    The globals of a wrapper, some of which are known only with its cache.
    """

    def __init__(self, token: object, slow: Callable[..., Any]) -> None:
        self.names: dict[str, Any] = {
            "_yc_entries": {},
            "_yc_pulse": None,
            "_yc_now": None,
            "_yc_token": token,
            "_yc_slow": slow,
            "_yc_error": Exception,
        }

    def bind(self, store: MemoryStore, now: Callable[[], float]) -> None:
        """
        Let hits be answered from a store.
        """
        self.names["_yc_pulse"] = store.pulse
        self.names["_yc_now"] = now
        self.names["_yc_entries"] = store.plain


def build(
    function: Callable[..., Any],
    slow: Callable[..., Any],
    token: object,
    *,
    is_async: bool,
    plain: bool,
) -> tuple[Callable[..., Any], Cells]:
    """
    Compile a wrapper that binds arguments as `function` does.

    `slow` is called with a tuple of all bound values, in the signature's order.
    `plain` says that keys are made of the arguments alone.
    """
    import inspect

    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    _check_names(function, parameters)
    cells = Cells(token, slow)
    for index, parameter in enumerate(parameters):
        if parameter.default is not parameter.empty:
            cells.names[f"_yc_d{index}"] = parameter.default
    rest = any(parameter.kind.name in _STARS for parameter in parameters)
    source = (_PLAIN if plain and not rest else _CAREFUL).format(
        kind="async def" if is_async else "def",
        wait="await " if is_async else "",
        parameters=_declare(parameters),
        key=", ".join(f"{p.name}, {p.name}.__class__" for p in parameters),
        bound=f"({', '.join(p.name for p in parameters)}{',' if parameters else ''})",
    )
    code = compile(source, f"<yokedcache wrapper of {function.__qualname__}>", "exec")
    exec(code, cells.names)  # noqa: S102 - made of identifiers only
    return cells.names["_yc_wrapper"], cells


def _declare(parameters: list[inspect.Parameter]) -> str:
    parts: list[str] = []
    previous = ""
    for index, parameter in enumerate(parameters):
        kind = parameter.kind.name
        if previous == _POSITIONAL != kind:
            parts.append("/")
        starred = previous in {_KEYWORD, "VAR_POSITIONAL"}
        if kind == _KEYWORD and not starred:
            parts.append("*")
        stars = _STARS.get(kind, "")
        default = "" if parameter.default is parameter.empty else f"=_yc_d{index}"
        parts.append(f"{stars}{parameter.name}{default}")
        previous = kind
    if previous == _POSITIONAL:
        parts.append("/")
    return ", ".join(parts)


def _check_names(
    function: Callable[..., Any], parameters: list[inspect.Parameter]
) -> None:
    for parameter in parameters:
        if parameter.name.startswith("_yc_"):
            msg = (
                f"{function.__qualname__} has a parameter {parameter.name!r}; names "
                "that begin with '_yc_' are taken by yokedcache, rename it"
            )
            raise DeclarationError(msg, function=function.__qualname__)
