"""A message given to sys.exit goes to standard error."""

import sys
import time

time.sleep(0.001)
sys.exit("nothing to do")
