"""
Claims: one process at a time loads a key, as long as it is there.

A claim is a key with the token of whoever has it, and it ends by itself. Nothing is
right or wrong by it: what is stored is judged by its tags, whoever loaded it. So all
that a claim that was lost costs is a second load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yokedcache.stores.answers import Claim
from yokedcache.stores.redis.lua import run_script
from yokedcache.stores.redis.operations import judge_read
from yokedcache.stores.redis.questions import GETEX, ask_tags
from yokedcache.stores.redis.wire import Refusal, Request, bulk, command, fine

if TYPE_CHECKING:
    from yokedcache.stores.redis.incarnation import Link
    from yokedcache.stores.redis.layout import Layout, TagSet
    from yokedcache.stores.redis.wire import Steps


def claim(
    layout: Layout, told: tuple[bytes, ...], key: bytes, tags: TagSet, link: Link
) -> Steps[Claim]:
    """
    Claim a load unless somebody has, and look whether it was done meanwhile.
    """
    claimed, token, life = told
    packed = command(b"SET", claimed, token, b"NX", b"PX", life)
    packed += command(b"GET", claimed) + GETEX + bulk(key) + ask_tags(tags)
    _, holder, data, values = yield Request(packed, 4)
    found = yield from judge_read(layout, data, tags, fine(values), link)
    return Claim(None if isinstance(holder, Refusal) else holder, found)


def release(claimed: bytes, token: bytes, _: Link) -> Steps[bool]:
    """
    Give a claim up; tell whether it was still held.
    """
    return bool((yield from run_script("release", [claimed], [token])))
