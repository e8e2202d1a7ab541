"""
Hole 7: what a fork and the end of a process mean for those who ask a server.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.holes.stalling import STALLING, server_of
from tests.support.held import LIMIT

if TYPE_CHECKING:
    from tests.support.databases import Blog

LOST = """
import os, sys, threading
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import sessionmaker
from tests.holes.stalling import cut, server_of
from tests.support.held import until
from tests.support.models import User
from yokedcache import YokedCache

engine = create_engine(sys.argv[1])
cache = YokedCache(orphan_grace="10m")
sessions = cache.attach(sessionmaker(engine))
connection = engine.connect()
connection.execute(text("UPDATE users SET name = 'new' WHERE id = 1"))
with server_of(engine) as server:
    def breaks():
        until(server.is_waiting)
        cut(connection)
    thread = threading.Thread(target=breaks)
    thread.start()
    try:
        connection.commit()
    except DBAPIError:
        pass
    thread.join()
    def asking():
        return [t.name for t in threading.enumerate()].count("yokedcache-orphans")
    assert asking()
"""
ENDS = "print('ended', flush=True)"
FORKS = """
    child = os.fork()
    if child == 0:
        assert not asking()
        late = sessionmaker(create_engine(sys.argv[1]))
        with late() as session:
            assert session.scalar(select(User.name).where(User.id == 1)) == "ann"
        print("child", flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert asking()
print("ended", flush=True)
"""


@pytest.mark.parametrize("blog", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("rest", "said"), [(ENDS, "ended"), (FORKS, "child ended")])
def test_hole_07_a_process_ends_while_a_server_is_asked(
    blog: Blog, rest: str, said: str
) -> None:
    with blog.engine.begin() as connection:
        for statement in STALLING:
            connection.exec_driver_sql(statement)
    url = blog.engine.url.render_as_string(hide_password=False)
    with server_of(blog.engine) as server:
        server.hold()
        done = subprocess.run(
            [sys.executable, "-c", LOST + rest, url],
            capture_output=True,
            text=True,
            timeout=3 * LIMIT,
            check=False,
        )
        assert (done.returncode, done.stdout.split()) == (0, said.split()), done.stderr
        assert "Traceback" not in done.stderr
        assert server.is_waiting()
        server.let_go()
