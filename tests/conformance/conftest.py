"""
Make the harness's modules importable, as `conformance/run.py` finds them.
"""

from __future__ import annotations

import sys
from pathlib import Path

CONFORMANCE = Path(__file__).resolve().parents[2] / "conformance"

sys.path.append(str(CONFORMANCE))
