"""
The fixtures that the tests of this folder use.
"""

from __future__ import annotations

from tests.support.fixtures import *  # noqa: F403 - pytest finds fixtures by name here
