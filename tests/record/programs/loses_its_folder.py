"""Changes the umask, changes to a folder and removes it."""

import os
import time

print(oct(os.umask(0o777)))
os.umask(0o027)
os.makedirs("gone")
os.chdir("gone")
os.rmdir("../gone")
for _ in range(60):
    time.sleep(0.01)
try:
    os.getcwd()
except FileNotFoundError as error:
    print(error)
