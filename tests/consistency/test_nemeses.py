"""
Each nemesis breaks what it says, on a real server, and mends it.
"""

from __future__ import annotations

import contextlib
import random
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from consistency import events
from consistency.contenders import CONTENDERS
from consistency.crew import Crew
from consistency.environments import interpreter, surroundings
from consistency.events import BEGUN, REFUSED, WRITE, Event
from consistency.nemeses import NEMESES, Ground, Nemesis, killed_writer
from consistency.nemeses.killed_writer import under_way, usual
from consistency.signs import CAME_BACK, FORGOTTEN, UNHEARD
from consistency.stage import Load, Stage
from tests.services.processes import wait_until
from tests.services.proxy import Proxy
from tests.services.redis import RedisServer
from tests.services.redis.groups import is_attached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services import PostgresServer

pytestmark = pytest.mark.timeout(180)

SHORT = 0.2
"""Seconds after which a server counts as silent."""


@pytest.fixture
def ground() -> Iterator[Callable[[str], Nemesis]]:
    """
    Give a function that takes a nemesis to its server, with two ways to it.
    """
    with contextlib.ExitStack() as stack:

        def take(name: str) -> Nemesis:
            nemesis = NEMESES[name]
            server = stack.enter_context(nemesis.store())
            target = (server.host, server.port)
            proxies = {at: stack.enter_context(Proxy(target)) for at in range(2)}
            dice, over = random.Random(1), threading.Event()
            return nemesis(Ground(server, proxies, Crew([]), dice, over))

        yield take


@pytest.fixture
def take_group() -> Iterator[Callable[[str], Nemesis]]:
    """
    Give a function that takes a nemesis to its group of servers.
    """
    with contextlib.ExitStack() as stack:

        def take(name: str) -> Nemesis:
            nemesis = NEMESES[name]
            group = stack.enter_context(nemesis.store())
            dice, over = random.Random(1), threading.Event()
            return nemesis(Ground(group, {}, Crew([]), dice, over))

        yield take


@pytest.fixture
def during(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Nemesis], contextlib.AbstractContextManager[None]]:
    """
    Give a function that lets a nemesis act until the end of a block.
    """

    @contextlib.contextmanager
    def acting(nemesis: Nemesis) -> Iterator[None]:
        monkeypatch.setattr(type(nemesis), "lengths", (60.0,))
        thread = threading.Thread(target=nemesis.strike)
        thread.start()
        try:
            yield
        finally:
            nemesis.ground.over.set()
            thread.join(30)
        assert not thread.is_alive()

    return acting


def answers(server: RedisServer, **options: Any) -> bool:
    """
    Tell whether somebody who comes anew is answered in a while.
    """
    try:
        with server.client(socket_timeout=SHORT, **options) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def test_every_fault_has_a_name_of_its_own() -> None:
    assert all(nemesis.name == name for name, nemesis in NEMESES.items())
    assert len({nemesis.title for nemesis in NEMESES.values()}) == len(NEMESES)
    assert NEMESES["calm"].reach == "nobody"


def test_calm_does_nothing(ground: Any) -> None:
    calm = ground("calm")
    run_id = calm.ground.redis.info("server")["run_id"]
    strike = calm.strike()
    assert strike.began <= strike.ended
    assert calm.ground.redis.info("server")["run_id"] == run_id


@pytest.mark.parametrize(
    ("name", "left"), [("killed_store", None), ("killed_lasting", "kept")]
)
def test_server_is_killed_and_comes_back(
    ground: Any, during: Any, name: str, left: str | None
) -> None:
    nemesis = ground(name)
    server = nemesis.ground.redis
    server.say("SET", "a", "kept")
    run_id = server.info("server")["run_id"]
    with during(nemesis):
        wait_until(lambda: not server.process.alive)
        assert not answers(server)
    assert server.say("GET", "a") == left
    assert server.info("server")["run_id"] != run_id


def test_server_comes_back_as_it_was_a_while_ago(ground: Any) -> None:
    nemesis = ground("killed_older")
    server = nemesis.ground.redis
    for name in "abcde":
        server.say("SET", f"yc:e:{name}", "old")
    nemesis.prepare()
    server.say("SET", "yc:e:a", "new")
    server.say("SET", "yc:e:f", "new")
    nemesis.ground.over.set()
    nemesis.act()
    assert server.say("MGET", "yc:e:a", "yc:e:f") == ["old", None]
    assert nemesis.seen == {FORGOTTEN: 2, CAME_BACK: 5}


def test_it_lasts_longest_at_first_and_then_each_of_its_lengths(ground: Any) -> None:
    nemesis = ground("stopped")
    lasts = [nemesis._length() for _ in range(9)]
    assert lasts[:3] == sorted(nemesis.lengths, reverse=True)
    assert sorted(lasts[3:6]) == sorted(lasts[6:]) == sorted(nemesis.lengths)


def test_server_hangs_and_goes_on(ground: Any, during: Any) -> None:
    nemesis = ground("stopped")
    server = nemesis.ground.redis
    run_id = server.info("server")["run_id"]
    with during(nemesis):
        wait_until(lambda: not answers(server))
        assert server.process.alive
    assert server.info("server")["run_id"] == run_id


@pytest.mark.parametrize("name", ["cut", "black_hole", "late"])
def test_way_of_everybody_is_broken(ground: Any, during: Any, name: str) -> None:
    nemesis = ground(name)
    server, proxies = nemesis.ground.redis, nemesis.ground.proxies
    urls = [server.url(port=proxy.port) for proxy in proxies.values()]
    assert all(answers(server, url=url) for url in urls)
    with during(nemesis):
        wait_until(lambda: not any(answers(server, url=url) for url in urls))
        assert answers(server)
    assert all(answers(server, url=url) for url in urls)


def test_connections_are_cut_and_the_other_faults_leave_them(ground: Any) -> None:
    for name, open_connections in (("cut", 0), ("black_hole", 1), ("late", 1)):
        nemesis = ground(name)
        proxy = nemesis.ground.proxies[0]
        url = nemesis.ground.redis.url(port=proxy.port)
        with nemesis.ground.redis.client(url) as client:
            client.ping()
            nemesis.cut(proxy)
            if not open_connections:
                proxy.wait_until(lambda seen: seen.open == 0)
            assert proxy.seen.open == open_connections


def test_what_is_held_back_arrives(ground: Any, during: Any) -> None:
    nemesis = ground("late")
    server, proxy = nemesis.ground.redis, nemesis.ground.proxies[0]
    url = server.url(port=proxy.port)
    with server.client(url, socket_timeout=SHORT) as client:
        client.ping()
        with during(nemesis):
            wait_until(lambda: not answers(server, url=url))
            with pytest.raises(redis.RedisError):
                client.set("a", "late")
            assert server.say("GET", "a") is None
        # nobody waits for it any more
        wait_until(lambda: server.say("GET", "a") == "late")


def test_memory_is_emptied(ground: Any) -> None:
    nemesis = ground("flushed")
    nemesis.ground.redis.say("SET", "a", "kept")
    nemesis.strike()
    assert nemesis.ground.redis.say("DBSIZE") == 0


def test_scripts_are_forgotten(ground: Any) -> None:
    nemesis = ground("scripts_flushed")
    server = nemesis.ground.redis
    digest = server.say("SCRIPT", "LOAD", "return 1")
    assert server.say("SCRIPT", "EXISTS", digest) == [1]
    nemesis.strike()
    assert server.say("SCRIPT", "EXISTS", digest) == [0]


def test_listeners_are_refused_and_nobody_else(ground: Any, during: Any) -> None:
    nemesis = ground("near_deaf")
    server = nemesis.ground.redis
    with server.client() as client, during(nemesis):

        def refused() -> bool:
            try:
                client.xrange("yc:l", count=1)
            except redis.exceptions.NoPermissionError:
                return True
            return False

        wait_until(refused)
        assert client.set("a", "told")
    nemesis.look()
    assert nemesis.seen[UNHEARD] == 1
    assert server.say("XRANGE", "yc:l", "-", "+") == []


def test_tags_are_evicted(ground: Any, during: Any) -> None:
    nemesis = ground("evicting")
    server = nemesis.ground.redis

    def fill() -> None:
        for number in range(50):
            server.say("SET", f"yc:t:{number}", "x" * 100)

    fill()
    with during(nemesis):
        # keys go at each turn, those that nobody has asked for first
        wait_until(lambda: server.say("DBSIZE") < 40)
    assert server.info("memory")["maxmemory"] == "0"
    fill()
    assert server.say("DBSIZE") == 50


def test_password_is_changed_and_back(ground: Any, during: Any) -> None:
    nemesis = ground("password")
    server = nemesis.ground.redis
    with server.client(socket_timeout=5) as client:
        client.ping()

        def refused() -> bool:
            try:
                client.ping()
            except redis.AuthenticationError:
                return True
            except redis.ConnectionError:  # cut: it comes back as a new one
                pass
            return False

        with during(nemesis):
            wait_until(refused)
        assert answers(server)


@pytest.mark.parametrize(
    "name",
    [pytest.param("killed_primary", marks=pytest.mark.night), "handed_over"],
)
def test_primary_is_replaced_and_comes_back(take_group: Any, name: str) -> None:
    nemesis = take_group(name)
    group = nemesis.ground.redis
    old = group.primary()
    run_id = old.info("server")["run_id"]
    for _ in range(2):  # it can be done again
        nemesis.strike()
        new = group.primary()
        assert new is not old
        assert is_attached(old, new)
        old = new
    killed = group.primary().info("server")["run_id"] != run_id
    assert killed is (name == "killed_primary")


def test_node_is_killed_and_comes_back_as_a_replica(take_group: Any) -> None:
    nemesis = take_group("killed_node")
    cluster = nemesis.ground.redis
    before = cluster.masters()
    nemesis.strike()
    (new,) = (node for node in cluster.masters() if node not in before)
    assert len(cluster.masters()) == 3
    assert all(node.process.alive for node in cluster.nodes)
    assert new in cluster.replicas


@pytest.fixture
def crew(
    postgres_server: PostgresServer, tmp_path: Path
) -> Iterator[tuple[Crew, RedisServer]]:
    """
    Give two processes that write, without a cache, and a server.
    """
    contender = CONTENDERS["uncached"]
    load = Load(reads=10**6, processes=2, tasks=2, writes=0.5)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(RedisServer.running())
        scene = stack.enter_context(Stage(postgres_server).opened(load.rows, server))
        parts = scene.parts(contender, load)
        python, environment = interpreter(contender), surroundings(contender)
        with Crew.ready(python, parts, environment, tmp_path) as ready:
            yield ready, server


def test_writer_is_killed_in_mid_write_and_replaced(
    crew: tuple[Crew, RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(killed_writer, "SPARES", 1)
    monkeypatch.setattr(killed_writer, "TRIES", 2)  # without a cache there is no fence
    ready, server = crew
    ground = Ground(server, {}, ready, random.Random(1), threading.Event())
    nemesis = NEMESES["killed_writer"](ground)
    nemesis.gather()
    ready.begin()
    assert len(ground.writers()) == 2  # the spare isn't one yet
    wait_until(lambda: all(map(wrote, ready.members[:2])))
    victims = []
    for _ in range(2):  # the second has no spare
        strike = nemesis.strike()
        (victim,) = (m for m in ready.members if m.part.process == strike.victim)
        victims.append(victim)
        assert victim.process.returncode == -signal.SIGKILL
        assert len(ground.writers()) == 2
    assert len({victim.part.process for victim in victims}) == 2
    assert any(under_way(tail(victim)) for victim in victims)
    heirs = ground.writers()
    wait_until(lambda: all(map(wrote, heirs)))
    # each face goes on being played
    assert {heir.part.process % 2 for heir in heirs} == {0, 1}


def tail(member: Any) -> list[Event]:
    return events.tail(Path(member.part.log), killed_writer.LATELY)


def wrote(member: Any) -> bool:
    return any(event.way == WRITE for event in tail(member))


@pytest.mark.parametrize("name", ["cut_one", "black_hole_one", "late_one"])
def test_way_of_one_writer_is_broken(
    crew: tuple[Crew, RedisServer], during: Any, name: str
) -> None:
    ready, server = crew
    ready.begin()
    with contextlib.ExitStack() as stack:
        target = (server.host, server.port)
        proxies = {at: stack.enter_context(Proxy(target)) for at in range(2)}
        urls = [server.url(port=proxy.port) for proxy in proxies.values()]
        dice, over = random.Random(1), threading.Event()
        nemesis = NEMESES[name](Ground(server, proxies, ready, dice, over))

        def reached() -> list[bool]:
            return [answers(server, url=url) for url in urls]

        with during(nemesis):
            wait_until(lambda: not all(reached()))
            assert sorted(reached()) == [False, True]
        assert reached() == [True, True]


def test_writes_under_way_are_those_that_have_not_ended() -> None:
    def event(way: int, task: int) -> Event:
        return Event(1, 1, 10, 30, task=task, way=way)

    one, two, three = (event(BEGUN, task) for task in (1, 2, 3))
    lately = [one, two, event(WRITE, 1), three, event(REFUSED, 3)]
    assert under_way(lately) == [two]
    assert under_way([]) == []
    assert usual(lately) == 20 / 1e9
    assert usual([]) > 0
