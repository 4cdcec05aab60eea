"""Children see the environment as it was."""

import os
import subprocess
import sys
import time

time.sleep(0.001)
source = "import os, sys; print(sorted(os.environ), sys.path, sys.argv, sys.flags)"
print(subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout)
subprocess.run(["sh", "-c", "echo from sh: $PYTHONPATH; exit 3"], check=False)
subprocess.run(["true"], check=True, preexec_fn=lambda: time.sleep(0.001))
os.system("echo from system")
sys.stdout.flush()
os.execv(sys.executable, [sys.executable, "-c", "print('become another')"])
