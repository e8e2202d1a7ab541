"""
The nemeses: one file each.
"""

from __future__ import annotations

from consistency.nemeses.black_hole import BlackHole, BlackHoleOne
from consistency.nemeses.calm import Calm
from consistency.nemeses.cut import Cut, CutOne
from consistency.nemeses.evicting import Evicting
from consistency.nemeses.failed_over import HandedOver, KilledPrimary
from consistency.nemeses.flushed import Flushed, ScriptsFlushed
from consistency.nemeses.killed_node import KilledNode
from consistency.nemeses.killed_store import KilledLasting, KilledOlder, KilledStore
from consistency.nemeses.killed_writer import KilledWriter
from consistency.nemeses.late import Late, LateOne
from consistency.nemeses.near_cut import NearCut
from consistency.nemeses.near_deaf import NearDeaf
from consistency.nemeses.nemesis import Ground, Nemesis, Strike
from consistency.nemeses.password import Password
from consistency.nemeses.stopped import Stopped

__all__ = ["NEMESES", "Ground", "Nemesis", "Strike"]

NEMESES: dict[str, type[Nemesis]] = {
    nemesis.name: nemesis
    for nemesis in (
        Calm,
        KilledWriter,
        KilledStore,
        KilledLasting,
        KilledOlder,
        Stopped,
        Cut,
        BlackHole,
        Late,
        CutOne,
        BlackHoleOne,
        LateOne,
        Flushed,
        Evicting,
        ScriptsFlushed,
        Password,
        KilledPrimary,
        HandedOver,
        KilledNode,
        NearCut,
        NearDeaf,
    )
}
"""All of them, by the name that `--fault` takes."""
