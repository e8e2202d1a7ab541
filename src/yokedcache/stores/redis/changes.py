"""
The operations on tags: stamps for loads, fences and bumps for commits.

All of them are safe to repeat, so one whose answer was lost may be sent again: a fence
goes by its token, and a bump too many costs misses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.stores.redis.layout import word
from yokedcache.stores.redis.lua import run_script
from yokedcache.stores.redis.operations import own_counter
from yokedcache.stores.redis.questions import GETEX, ask_tags
from yokedcache.stores.redis.results import Lifted, RaisedFence, Stamp
from yokedcache.stores.redis.wire import Request, bulk, fine

if TYPE_CHECKING:
    from yokedcache.stores.redis.incarnation import Link
    from yokedcache.stores.redis.layout import TagSet
    from yokedcache.stores.redis.wire import Steps

NONCE_BYTES = 6


class Scope:
    """
    What a change is about: some tags, their counter and log, and a lease in milliseconds.
    """

    __slots__ = ("counter", "lease", "log", "tags")

    def __init__(self, counter: bytes, log: bytes, tags: TagSet, lease: int) -> None:
        self.counter = counter
        self.log = log
        self.tags = tags
        self.lease = lease

    def run(self, name: str, link: Link, *words: bytes) -> Steps[Any]:
        """
        Run a script that gives versions; give its answer.
        """
        return run_script(name, self._keys, self._words(link, words))

    def tell(self, name: str, link: Link, *words: bytes) -> Steps[Any]:
        """
        Run one that announces what it changes.

        A primary whose replicas are gone may not be the primary any more: what it is told
        then, others don't hear. It refuses to be told, an older one if asked for leave.
        """
        leave = GETEX + bulk(self.counter) if link.server.lets_scripts else b""
        keys = [*self._keys, self.log]
        return run_script(name, keys, self._words(link, words), leave=leave)

    @property
    def _keys(self) -> list[bytes]:
        return [self.counter, *self.tags.keys]

    def _words(self, link: Link, own: tuple[bytes, ...]) -> list[bytes]:
        server, nonce = link.server, word(link.draw(NONCE_BYTES))
        lease, evicts = b"%d" % self.lease, b"%d" % server.evicts
        return [server.mark, nonce, lease, evicts, *own]


def take_stamp(scope: Scope, keep: int, link: Link) -> Steps[Stamp]:
    """
    Take the versions of tags and the counter; tags that aren't there are made.

    `keep` is how many milliseconds a tag lives that was made for this.
    """
    tags = scope.tags
    packed = GETEX + bulk(scope.counter)
    if tags.count:
        counter, values = yield Request(packed + ask_tags(tags), 2)
        fine(values)
    else:
        (counter,) = yield Request(packed)
        values = []
    # read before the tags, so it is no later than they are
    noted = own_counter(counter, link)
    stamp = Stamp(tags, values, link.server.mark, noted)
    if stamp.incomplete:
        made = frozenset(at for at, value in enumerate(values) if value is None)
        values = yield from scope.run("open", link, b"%d" % keep)
        stamp = Stamp(tags, values, link.server.mark, noted, made)
    return stamp


def bump(scope: Scope, link: Link) -> Steps[bytes]:
    """
    Make everything that depends on one of the tags unservable; give the version.
    """
    return scope.tell("bump", link)


def fence(scope: Scope, token: bytes, owner: str, link: Link) -> Steps[RaisedFence]:
    """
    Bump tags and fence them: a commit is about to be sent.
    """
    version = yield from scope.tell("fence", link, token, word(owner.encode()))
    return RaisedFence(scope.tags, token, owner, version)


def lift(scope: Scope, token: bytes, link: Link) -> Steps[Lifted]:
    """
    Bump a fence's tags and take it down; tags whose fence was lost are bumped too.
    """
    version, found = yield from scope.tell("lift", link, token)
    return Lifted(version, scope.tags.count - found)


def renew(scope: Scope, token: bytes, owner: str, link: Link) -> Steps[int]:
    """
    Vouch for a fence for another lease; tell on how many tags it was lost meanwhile.

    Where it was lost it is put back. So this must not be sent after the lift: whoever
    renews a fence and whoever lifts it have to agree on who comes last.
    """
    return scope.tell("renew", link, token, word(owner.encode()))


def adopt(scope: Scope, token: bytes, grace: int, link: Link) -> Steps[list[bool]]:
    """
    Take down a fence that nobody vouches for any more; tell for each tag whether it was.

    The caller knows that its transaction is over, or waits for `grace` milliseconds
    past its deadline.
    """
    done = yield from scope.tell("adopt", link, token, b"%d" % grace)
    return [one == 1 for one in done]
