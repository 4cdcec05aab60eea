"""pdb steps through the program's own lines."""

import io
import pdb
import sys
import time


def inner():
    time.sleep(0.001)
    return 1


def work():
    time.sleep(0.001)
    commands = io.StringIO("where\nnext\nstep\nnext\nreturn\nup\np number\ncontinue\n")
    pdb.Pdb(stdin=commands, stdout=sys.stdout).set_trace()
    number = 2
    inner()
    return number


print(work())
print(work())
time.sleep(0.001)
