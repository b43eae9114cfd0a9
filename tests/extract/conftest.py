"""What the tests of extraction share: the model source beside them, servers, a lake."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
