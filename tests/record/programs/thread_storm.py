"""Hundreds of threads at once."""

import concurrent.futures
import sqlite3
import threading
import time


def work(number):
    time.sleep(0.001)
    with sqlite3.connect(":memory:") as database:
        return database.execute("select ?", (number,)).fetchone()[0]


threads = [threading.Thread(target=work, args=(number,)) for number in range(200)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with concurrent.futures.ThreadPoolExecutor(50) as pool:
    print(sum(pool.map(work, range(500))), threading.active_count() > 1)
