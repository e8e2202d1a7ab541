"""
Many look-ups in one command.

Entries and tags of all of them are read at one moment by one MGET, tags that several
have in common once. Before it a GETEX says that this is no replica (see `operations`).
To an MGET a value of another type is as if nothing were there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from yokedcache.stores.answers import SAME
from yokedcache.stores.redis.lockstep import lockstep, packet, sent_on, step
from yokedcache.stores.redis.questions import GETEX, Question
from yokedcache.stores.redis.wire import WRONG_TYPE, Refusal, Request, bulk, fine

if TYPE_CHECKING:
    from yokedcache.stores.redis.incarnation import Link
    from yokedcache.stores.redis.layout import TagSet
    from yokedcache.stores.redis.operations import Operation
    from yokedcache.stores.redis.wire import Steps

    Folded: TypeAlias = list[Operation[Any]]


class Fold:
    """
    The request of some look-ups, and which part of the answer belongs to which.
    """

    def __init__(self, operations: Folded) -> None:
        looks = [o.look for o in operations if o.look is not None]
        self._sets: dict[bytes, tuple[int, int]] = {}
        self._looks = looks
        asked = [look.asked for look in looks]
        count = len(looks)
        for look in looks:
            tags = look.tags
            if tags.digests not in self._sets:
                self._sets[tags.digests] = (count, count + tags.count)
                asked.append(tags.asked)
                count += tags.count
        probe = _short_key(looks[0].tags) or looks[0].key
        mget = b"*%d\r\n$4\r\nMGET\r\n%b" % (count + 1, b"".join(asked))
        self.request = Request(GETEX + bulk(probe) + mget, 2)

    def share_out(self, answers: list[Any]) -> list[list[Any]]:
        """
        Give each look-up the answers that it would have had alone.
        """
        probe, values = answers
        if not (isinstance(probe, Refusal) and probe.code == WRONG_TYPE):
            fine(probe)
        fine(values)
        cut = {
            digests: values[start:end] for digests, (start, end) in self._sets.items()
        }
        return [
            [value, cut[look.tags.digests]] if look.tags.count else [value]
            for look, value in zip(self._looks, values, strict=False)
        ]


def folded(operations: Folded, link: Link) -> Steps[list[Any]]:
    """
    Have look-ups answered by one command, and what they ask then by others.

    Gives the result of each, or the error that ended it.
    """
    if len(operations) > 1:
        fold = Fold(operations)
        given = fold.share_out((yield fold.request))
    else:
        # a GETEX of the entry itself is as short, and tells what is of another type
        one = operations[0].look
        if not isinstance(one, Question):
            return (yield from lockstep(operations, link))
        given = [(yield Request(one.packed, 2))]
    mark = link.server.mark
    results: list[Any] = [SAME] * len(operations)
    steps: list[Any] = [None] * len(operations)
    asked: dict[int, Request] = {}
    for place, own in enumerate(given):
        operation = operations[place]
        look = operation.look
        if isinstance(look, Question):
            # nearly all are as they were: to be told so by their steps takes longer
            data, values = own
            if look.answered(data, values, mark):
                continue
        steps[place] = operation.steps(link)
        next(steps[place])
        step(steps[place], own, place, asked, results)
    while asked:
        answers = yield packet(asked)
        asked = sent_on(steps, asked, answers, results)
    return results


def _short_key(tags: TagSet) -> bytes | None:
    """
    Give a key whose value is short, whatever the entries are.
    """
    return tags.keys[0] if tags.count else None
