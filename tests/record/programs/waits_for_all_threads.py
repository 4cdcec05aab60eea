"""Joins every thread that there is, as many programs do."""

import threading
import time

for _ in range(3):
    threading.Thread(target=time.sleep, args=(0.01,)).start()
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join()
print(threading.active_count())
