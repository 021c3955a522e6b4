"""Makes the tests' own modules importable, and signals what they are in a terminal."""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# A background shell hands SIGINT on ignored, and what is ignored stays so in the programs that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
