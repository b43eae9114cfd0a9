"""What the tests of the pipelines share: account-days made by hand."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
