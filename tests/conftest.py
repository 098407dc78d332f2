"""Where the tests run in the background, Ctrl-C is ignored, by every process they start too.

The tests of Ctrl-C need it. A handler that Python sets is the default again in a new process.
"""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
