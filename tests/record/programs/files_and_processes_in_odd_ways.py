"""What a program can ask of the functions of files and processes, and what they raise."""

import inspect
import os
import pathlib
import pickle
import shutil
import subprocess
import traceback
import types


def tries(function, *arguments, **named):
    try:
        print(function(*arguments, **named))
    except BaseException:
        traceback.print_exc()


for name in ("fsync", "read", "write", "rename", "listdir", "waitpid", "system", "open", "remove"):
    function = getattr(os, name)
    print(function, function.__module__, function.__qualname__, inspect.signature(function), function.__doc__[:20])
    print(isinstance(function, types.BuiltinFunctionType), inspect.isbuiltin(function), inspect.isroutine(function))
    print(inspect.isfunction(function), pickle.loads(pickle.dumps(function)) is function, hash(function) != 0)
for function in (
    shutil.copy,
    shutil.rmtree,
    pathlib.Path.read_text,
    subprocess.Popen.wait,
    subprocess.Popen.communicate,
):
    print(function.__qualname__, inspect.signature(function), pickle.loads(pickle.dumps(function)) is function)
print(
    os.open in os.supports_dir_fd,
    os.mkdir in os.supports_dir_fd,
    os.truncate in os.supports_fd,
    os.rmdir in os.supports_dir_fd,
)
print(os.listdir in os.supports_fd, os.rename in os.supports_dir_fd, os.link in os.supports_follow_symlinks)
print(os.open == os.open, os.open == os.read, {os.open: 1}[os.open], len({os.open, os.open}))
print(shutil.rmtree.avoids_symlink_attacks)


class Files:
    remove = os.remove
    listing = staticmethod(os.listdir)


tries(Files().remove, "missing")
print(Files.listing(".") == os.listdir("."))
tries(os.read, 999, 1)
tries(os.fsync)
tries(os.rename, "missing", "there")
tries(os.waitpid, 999_999, 0)
tries(os.open, "missing", os.O_RDONLY)
tries(pathlib.Path("missing").read_text)
tries(pathlib.Path("text").write_text, "text", encoding="utf-8")
tries(shutil.copy, "text", "text")
tries(shutil.rmtree, "missing")
tries(subprocess.run, ["no-such-command"])
tries(subprocess.run, "exit 3", shell=True, check=True)
tries(subprocess.Popen, ["true"], nonsense=1)
child = subprocess.Popen(["true"])
print(child.wait(), child.wait(timeout=1), child.poll(), child.communicate(), repr(child))
