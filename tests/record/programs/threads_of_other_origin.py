"""Threads that the threading module does not know stay unknown to it."""

import _thread
import threading
import time

done = _thread.allocate_lock()
done.acquire()


def wait():
    time.sleep(0.001)
    print(threading.active_count())
    done.release()


_thread.start_new_thread(wait, ())
done.acquire()
