"""Closes all descriptors as a daemon does, then writes files that get the numbers of closed ones."""

import os
import sys
import time

time.sleep(0.001)
sys.stdout.flush()
kept = os.dup(1)
os.dup2(kept, 3)
os.closerange(4, 4096)
written = [os.open(f"file-{number}", os.O_RDWR | os.O_CREAT) for number in range(3)]
high = os.open("file-high", os.O_RDWR | os.O_CREAT)
os.dup2(high, 1000)
for _ in range(60):
    time.sleep(0.01)
for descriptor in (*written, 1000):
    print(descriptor, os.fstat(descriptor).st_size)
os.close(2)
print("without an error stream", flush=True)
os.close(1)
os.write(3, b"through 3\n")
print("lost")
