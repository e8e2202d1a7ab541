"""
Mode `on` still finds the library's parts that it takes hold of.

It changes `Session` itself, so it runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.alone import alone

__all__ = ["alone"]

CONFORMANCE = Path(__file__).resolve().parents[2] / "conformance"

RUN = """
import json
from serving import Serving
from sqlalchemy import Column, Integer, create_engine, select
from sqlalchemy.orm import Session, declarative_base
from sqlalchemy.pool import StaticPool

engine = create_engine("sqlite://", poolclass=StaticPool)
Base = declarative_base()

class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)

Base.metadata.create_all(engine)
mode = Serving()
mode.begin_run()
for _ in range(2):
    mode.begin_test()
    with Session(engine) as session:
        session.add(User(id=1))
        session.flush()
        session.rollback()
        session.commit()
        for _ in range(3):
            assert session.scalars(select(User)).all() == []
assert mode.complaints() == []
print(json.dumps(mode.end_run()))
"""


def test_a_run_serves_reads_and_counts_how(tmp_path: Path) -> None:
    paths = [str(CONFORMANCE), *sys.path]
    ran = subprocess.run(
        [sys.executable, "-c", RUN],
        check=True,
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        text=True,
        timeout=60,
    )
    counts = json.loads(ran.stdout)
    assert counts["hits by the short way"] > 0
    assert counts["answered"] > 0
