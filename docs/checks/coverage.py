"""
No gaps: what users can meet has its entry, and no entry tells of what isn't there.
"""

from __future__ import annotations

import dataclasses
import inspect
import re

import yokedcache
import yokedcache.sqlalchemy
import yokedcache.testing
from checks import pages
from checks.reasons import reasons
from yokedcache import YokedCache, decorators, errors, settings, stats

DOORS = (yokedcache, yokedcache.sqlalchemy, yokedcache.testing)


def missing() -> list[str]:
    """
    List what has no entry, and entries of nothing.
    """
    return [
        *_settings(),
        *_errors(),
        *_options(),
        *_reasons(),
        *_names(),
        *_methods(),
        *_fields(),
    ]


def _settings() -> list[str]:
    rows = dict(
        re.findall(
            r"^\| `(\w+)` \| ([^|]+) \|", pages.text("settings.md"), re.MULTILINE
        )
    )
    fields = {
        field.name: field.default for field in dataclasses.fields(settings.Settings)
    }
    wrong = [
        f"settings.md: no row for {name}"
        for name in sorted(fields.keys() - rows.keys())
    ]
    wrong += [
        f"settings.md: no setting {name}"
        for name in sorted(rows.keys() - fields.keys())
    ]
    for name, default in fields.items():
        shown = rows.get(name, "").strip().strip("`")
        if name in rows and not re.match(re.escape(_shown(default)) + r"\b|\Z", shown):
            wrong.append(
                f"settings.md: {name} is {_shown(default)}, the page says {shown}"
            )
    return wrong


def _shown(default: object) -> str:
    if isinstance(default, float) and default.is_integer():
        return str(int(default))
    return "none" if default == () else str(default)


def _errors() -> list[str]:
    classes = {
        item.code: name
        for name, item in vars(errors).items()
        if inspect.isclass(item) and issubclass(item, errors.YokedCacheError)
    }
    headings = dict(
        re.findall(r"^## (YC\d+) `(\w+)`", pages.text("errors.md"), re.MULTILINE)
    )
    return [
        f"errors.md: {code} is {classes.get(code)}, the page says {headings.get(code)}"
        for code in sorted(classes.keys() | headings.keys())
        if classes.get(code) != headings.get(code)
    ]


def _options() -> list[str]:
    text = pages.text("functions.md")
    headings = set(re.findall(r"^### `(\w+)`", text, re.MULTILINE))
    options = {"cache", *decorators._DEFAULTS}  # noqa: SLF001 - what there is
    methods = set(decorators._METHODS)  # noqa: SLF001
    wrong = [
        f"functions.md: no heading for {name}" for name in sorted(options - headings)
    ]
    wrong += [f"functions.md: no option {name}" for name in sorted(headings - options)]
    wrong += [
        f"functions.md: no `.{name}`"
        for name in sorted(methods)
        if f"`.{name}" not in text
    ]
    return wrong


def _reasons() -> list[str]:
    listed = set(re.findall(r"^\| `([\w:]+)` ", pages.text("reasons.md"), re.MULTILINE))
    known = reasons()
    wrong = [f"reasons.md: no row for {reason}" for reason in sorted(known - listed)]
    wrong += [f"reasons.md: no reason {reason}" for reason in sorted(listed - known)]
    return wrong


def _names() -> list[str]:
    everything = "\n".join(page.read_text(encoding="utf-8") for page in pages.every())
    names = [(door.__name__, name) for door in DOORS for name in door.__all__]
    return [
        f"{door}.{name} is named nowhere"
        for door, name in names
        if not re.search(rf"\b{name}\b", everything)
    ]


def _methods() -> list[str]:
    everything = "\n".join(page.read_text(encoding="utf-8") for page in pages.every())
    return [
        f"YokedCache.{name} is shown nowhere"
        for name in dir(YokedCache)
        if not name.startswith("_") and not re.search(rf"[.`]{name}\b", everything)
    ]


def _fields() -> list[str]:
    text = pages.text("statistics.md")
    kinds = (stats.Counts, stats.Stats, stats.Explanation)
    return [
        f"statistics.md: no `{field.name}` of {kind.__name__}"
        for kind in kinds
        for field in dataclasses.fields(kind)
        if f"`{field.name}`" not in text
    ]
