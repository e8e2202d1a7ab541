"""
Keys on the server are bounded by what is cached and what was written lately (hole 16).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.services.processes import wait_until
from tests.services.redis import RedisServer
from tests.support.redis_faces import FACES, make_face

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.redis_faces import Face

NUMBER = 10_000
A_CALL = 250
A_MILLION = 1_000_000
MANY = A_MILLION // 5
"""Keys that may be there while names end faster than they are written."""


def test_hole_16_writes_of_what_nobody_reads_leave_one_key(
    each_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    each_server.flush()
    face = open_face(each_server, lease=0.2)
    names = [f"table:posts:id={number}" for number in range(NUMBER)]
    for start in range(0, NUMBER, A_CALL):
        some = names[start : start + A_CALL]
        face.bump(*some)
        face.lift(face.fence(*some))
    wait_until(lambda: each_server.say("DBSIZE") == 1)
    assert each_server.say("TYPE", face.layout.counter.decode()) == "string"
    assert each_server.say("TTL", face.layout.counter.decode()) == -1


def test_hole_16_tags_end_with_the_entries_that_carry_them(
    each_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    each_server.flush()
    face = open_face(each_server, lease=0.05)
    face.settle()
    stamp = face.stamp("a", keep=0.6)
    operation = face.commands.store("k", b"v", stamp, face.times, life=1.2)
    assert face.do(operation) is None
    assert each_server.say("PTTL", face.tag("a")) > 600
    wait_until(lambda: each_server.say("DBSIZE") == 1)


@pytest.mark.night
@pytest.mark.timeout(900)
def test_hole_16_a_million_rows_written_leave_one_key_and_few_meanwhile() -> None:
    most = 0
    with RedisServer.running() as server:
        face = make_face(FACES[0], server, lease=0.2)
        for start in range(0, A_MILLION, A_CALL):
            rows = range(start, start + A_CALL)
            face.lift(face.fence(*(f"table:posts:id={number}" for number in rows)))
            if start % (40 * A_CALL) == 0:
                most = max(most, int(server.say("DBSIZE")))
        wait_until(lambda: server.say("DBSIZE") == 1)
        face.close()
    assert A_CALL <= most < MANY
