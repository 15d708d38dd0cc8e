"""Work that takes its time: `python -m tests.sleeper FOLDER`."""

import time

time.sleep(60)
