"""
Collects from the source every reason for which something isn't cached.

A reason is a string of the form `word_word` or `word:name`, found where the
library says one: handed to a function that takes reasons, kept in an attribute
that holds one, or returned by a function that gives one or `None`.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from checks import pages

if TYPE_CHECKING:
    from collections.abc import Iterator

_TAKERS = {
    *("refuse", "spoil", "abandon", "_abandon", "on_abandon"),
    *("bypass", "bypassed", "Bypass", "Unprepared", "Played"),
}
_HOLDERS = {
    *("bypass", "spoiled", "volatile", "contextual", "reason", "refused", "_refused"),
    *("uncacheable", "off"),
}
_REASON = re.compile(r"[a-z]+(_[a-z]+)*(:[a-z]*)?")
_PARTS = (
    "calls.py",
    "functions.py",
    "core/capture.py",
    "core/snapshots.py",
    "runtime/context.py",
    "shared/*.py",
    "stores/*.py",
    "stores/redis/results.py",
    "sqlalchemy/**/*.py",
)


def reasons() -> set[str]:
    """
    Give all reasons; those with a name behind a colon up to the colon.
    """
    found: set[str] = set()
    for part in _PARTS:
        for file in pages.SOURCE.glob(part):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                found.update(_said(node))
    return {reason.partition(":")[0] + ":" * (":" in reason) for reason in found}


def _said(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        yield from _handed(node)
    elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if {_name(target) for target in targets} & _HOLDERS:
            yield from _strings(node.value)
    elif isinstance(node, ast.FunctionDef) and _gives_reason(node):
        for inner in ast.walk(node):
            if isinstance(inner, ast.Return) and inner.value is not None:
                yield from _strings(inner.value)


def _handed(call: ast.Call) -> Iterator[str]:
    if _name(call.func) in _TAKERS:
        for argument in call.args:
            yield from _strings(argument)
    for keyword in call.keywords:
        if keyword.arg in _HOLDERS:
            yield from _strings(keyword.value)


def _name(node: ast.expr) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))


def _gives_reason(function: ast.FunctionDef) -> bool:
    if function.returns is None:
        return False
    kind = ast.unparse(function.returns)
    return kind in {"str | None", "Asking[str | None]"} or function.name == "_unfit"


def _strings(node: ast.expr) -> Iterator[str]:
    """
    Give the reasons that an expression may be: not those that it compares with.
    """
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str) and _REASON.fullmatch(node.value):
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        first = node.values[0]
        if isinstance(first, ast.Constant) and _REASON.fullmatch(str(first.value)):
            yield str(first.value)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _strings(value)
    elif isinstance(node, ast.IfExp):
        yield from _strings(node.body)
        yield from _strings(node.orelse)
