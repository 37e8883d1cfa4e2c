"""The fixtures of the whole-program tests, for this folder too."""
import importlib.util
import os
import sys

LIVE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "live")
_spec = importlib.util.spec_from_file_location("live_conftest", os.path.join(LIVE, "conftest.py"))
_live = importlib.util.module_from_spec(_spec)
sys.modules["live_conftest"] = _live
_spec.loader.exec_module(_live)

from live_conftest import prefix, sg  # noqa: E402,F401
