"""Children by fork and by multiprocessing, in each way of starting them; warnings are shown."""

import multiprocessing
import os
import sys
import time
import warnings

warnings.simplefilter("always")


def square(number):
    time.sleep(0.001)
    return number * number


def main():
    time.sleep(0.001)
    child = os.fork()
    if child == 0:
        time.sleep(0.001)
        os._exit(4)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        time.sleep(0.001)
        print("child")
        sys.exit(6)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    time.sleep(0.001)
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(square, range(4)))


if __name__ == "__main__":
    main()
