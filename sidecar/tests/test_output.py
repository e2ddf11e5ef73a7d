"""Standard output is the protocol's alone."""

from __future__ import annotations

import subprocess
import sys
import unittest

from .client import PACKAGE

NOISY = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
from glue_sidecar.__main__ import private_output
out = private_output()
print("a library prints", flush=True)
os.write(1, b"and writes\\n")
sys.__stdout__.write("and finds the old name\\n")
sys.__stdout__.flush()
subprocess.run([sys.executable, "-c", "print('and starts others')"], check=True)
os.write(out, b"frame")
"""


class Output(unittest.TestCase):
    def test_X9_whatever_is_printed_goes_to_standard_error(self) -> None:
        ran = subprocess.run([sys.executable, "-I", "-c", NOISY, str(PACKAGE)], capture_output=True, timeout=120, check=True)
        self.assertEqual(ran.stdout, b"frame")
        self.assertEqual(ran.stderr.splitlines(), [b"a library prints", b"and writes", b"and finds the old name", b"and starts others"])


if __name__ == "__main__":
    unittest.main()
