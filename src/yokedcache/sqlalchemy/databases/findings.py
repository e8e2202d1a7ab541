"""
A `Catalogue` in the making: what the readers find, and how it fits together.

Names are bare, so that one name may stand for relations of several schemas; what
holds of any of them holds of the name. Trees of partitions or of inheritance share
their rows: all members are read and written under one of their names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from yokedcache.sqlalchemy.databases.catalogue import Catalogue, Effect, Names
from yokedcache.sqlalchemy.databases.implicit import Implicit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yokedcache.sqlalchemy.databases.bodies import Effects
    from yokedcache.sqlalchemy.statements.analysis import Analysis

_EFFECTS = {"CASCADE": "same", "SET NULL": "update", "SET DEFAULT": "update"}


@dataclass(slots=True)
class Findings:
    """
    What was found so far.
    """

    tables: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)
    reaching: set[str] = field(default_factory=set)
    """
    Opaque names of the kinds that aren't inert; one in any schema decides.
    """
    guarded: dict[str, set[str]] = field(default_factory=dict)
    """
    Tables with row security, and what their policies read.
    """
    triggers: set[str] = field(default_factory=set)
    effects: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    cascades: dict[str, set[Effect]] = field(default_factory=dict)
    volatile_functions: set[str] = field(default_factory=set)
    shadowing: set[str] = field(default_factory=set)
    """
    Functions that aren't immutable; those named like a harmless one matter.
    """
    immediate: set[str] = field(default_factory=set)
    shifting: set[str] = field(default_factory=set)
    implicit: Implicit = field(default_factory=Implicit)
    hidden: dict[str, set[str]] = field(default_factory=dict)
    """
    Functions that views run without a call.
    """
    _queries: list[tuple[str, Analysis]] = field(default_factory=list)
    _views: dict[str, set[str]] = field(default_factory=dict)
    _parents: list[tuple[str, str]] = field(default_factory=list)

    def add_opaque(self, name: str, *, inert: bool = False) -> None:
        """
        Note a name that is no ordinary table.
        """
        self.opaque.add(name)
        if not inert:
            self.reaching.add(name)

    def add_computed(self, table: str, expression: Analysis) -> None:
        """
        Note a column that is computed when it is read.
        """
        if expression.uncacheable is not None:
            self.shifting.add(table)
            self.add_opaque(table, inert=True)

    def add_view(self, name: str, query: Analysis) -> None:
        """
        Note a view by what its query reads.
        """
        if query.unknown_write:
            self.add_opaque(name)
            return
        self._queries.append((name, query))
        self._views.setdefault(name, set()).update(query.reads)
        if query.uncacheable is not None:
            self.add_opaque(name)

    def add_child(self, child: str, parent: str) -> None:
        """
        Note that the rows of one table are rows of another, too.
        """
        self._parents.append((child, parent))

    def add_trigger(self, table: str, effects: Effects | None) -> None:
        """
        Note what a trigger or rule writes, `None` if that can't be told.
        """
        if effects is None:
            self.triggers.add(table)
        elif effects:
            self.effects.setdefault(table, set()).update(effects)

    def add_foreign_key(
        self, parent: str, child: str, on_update: str, on_delete: str
    ) -> None:
        """
        Note a foreign key by its actions, as SQL spells them.
        """
        for event, action in (("update", on_update), ("delete", on_delete)):
            effect = _EFFECTS.get(action.upper())
            if effect is not None:
                verb = event if effect == "same" else effect
                self.cascades.setdefault(parent, set()).add((event, verb, child))

    def freeze(self) -> Catalogue:
        """
        Return what was found; a name that is opaque anywhere is opaque.
        """
        self.tables -= self.guarded.keys()
        for name in self.guarded.keys() & {n for pair in self._parents for n in pair}:
            self.add_opaque(name, inert=True)
        calls = self._calls()
        trees = self._trees()
        self._hand_up()
        behind = self._resolved(trees)
        guarded = self._policed(behind)
        opaque = self.opaque | (self._views.keys() - behind.keys())
        under = {name: set(reads) for name, reads in self._views.items()}
        for name, root in trees.items():
            if name != root:
                under.setdefault(name, set()).add(root)
        return Catalogue(
            tables=frozenset(self.tables - opaque),
            opaque=frozenset(opaque),
            triggers=frozenset(self.triggers),
            cascades=_frozen(self.cascades),
            volatile_functions=frozenset(self.volatile_functions),
            inert=frozenset(opaque - self.reaching - self._views.keys()),
            behind=_frozen({**behind, **guarded}),
            effects=_frozen(self.effects),
            under=_frozen(under),
            shadowing=frozenset(self.shadowing),
            calls=_frozen(calls),
            guarded=frozenset(guarded),
            immediate=frozenset(self.immediate),
            shifting=frozenset(self.shifting),
            implicit=self.implicit or None,
        )

    def _calls(self) -> dict[str, set[str]]:
        """
        Give the functions behind views, and close those that call an app's own.
        """
        calls = {view: set(functions) for view, functions in self.hidden.items()}
        for name, query in self._queries:
            shadowed = self.shadowing & query.called
            if shadowed:
                self.add_opaque(name)
            calls.setdefault(name, set()).update(query.functions, shadowed)
        changed = True
        while changed:
            changed = False
            for name, reads in self._views.items():
                for read in reads:
                    changed |= _merge(calls, read, name)
        return {name: functions for name, functions in calls.items() if functions}

    def _trees(self) -> dict[str, str]:
        """
        Give each member of a tree the name that stands for all of them.

        A tree with a member that can't be read can't be read anywhere.
        """
        roots: dict[str, str] = {}

        def root_of(name: str) -> str:
            while (above := roots.setdefault(name, name)) != name:
                name = above
            return name

        for child, parent in self._parents:
            roots[root_of(child)] = root_of(parent)
        trees = {name: root_of(name) for name in tuple(roots)}
        closed = {trees[name] for name in trees if name in self.opaque}
        for name, root in trees.items():
            if root in closed and name not in self.opaque:
                self.add_opaque(name, inert=True)
        return trees

    def _hand_up(self) -> None:
        """
        Give parents what their children set off, through any depth.

        A write to a parent reaches its children's rows.
        """
        changed = True
        while changed:
            changed = False
            for child, parent in self._parents:
                if child in self.triggers and parent not in self.triggers:
                    self.triggers.add(parent)
                    changed = True
                for found in (self.cascades, self.effects):
                    changed |= _merge(found, child, parent)

    def _resolved(self, trees: Mapping[str, str]) -> dict[str, Names]:
        """
        Follow views and trees to the tables that are read behind them.
        """
        behind: dict[str, Names] = {
            name: frozenset({root})
            for name, root in trees.items()
            if name not in self.opaque and name not in self._views
        }
        waiting = {n: r for n, r in self._views.items() if n not in self.opaque}
        progress = True
        while progress:
            progress = False
            for name, reads in tuple(waiting.items()):
                if all(self._known(read, behind) for read in reads):
                    del waiting[name]
                    progress = True
                    found = [behind.get(read, frozenset({read})) for read in reads]
                    if name in self.tables:  # of another schema
                        found.append(frozenset({trees.get(name, name)}))
                    behind[name] = frozenset().union(*found)
        return behind

    def _policed(self, behind: Mapping[str, Names]) -> dict[str, set[str]]:
        """
        Give guarded tables with all that is read when they are; close the unclear ones.
        """
        policed: dict[str, set[str]] = {}
        for name in self.guarded:
            seen, waiting = {name}, [name]
            while waiting:
                for read in self.guarded[waiting.pop()] - seen:
                    if read in self.guarded:
                        seen.add(read)
                        waiting.append(read)
                    elif self._known(read, behind):
                        seen |= behind.get(read, {read})
                    else:
                        self.add_opaque(name, inert=True)
            if seen.isdisjoint(self.opaque):
                policed[name] = seen
            else:
                self.add_opaque(name, inert=True)
        return policed

    def _known(self, name: str, behind: Mapping[str, Names]) -> bool:
        if name in behind:
            return True
        return (
            name in self.tables and name not in self.opaque and name not in self._views
        )


def _merge(found: dict[str, Any], child: str, parent: str) -> bool:
    has = found.get(child)
    if not has or has <= found.get(parent, set()):
        return False
    found.setdefault(parent, set()).update(has)
    return True


def _frozen(found: Mapping[str, Any]) -> Mapping[str, frozenset[Any]]:
    return MappingProxyType({name: frozenset(all_) for name, all_ in found.items()})
