"""Prints KeyboardInterrupt's traceback and dies by the signal."""

import signal
import threading
import time

main = threading.main_thread().ident
threading.Timer(0.05, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
time.sleep(30)
