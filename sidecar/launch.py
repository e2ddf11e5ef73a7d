"""Runs the package beside this file: python -I launch.py [--control-fd N]

With -I the interpreter imports nothing from where it was started, nothing that
PYTHONPATH names, and nothing of the user's own packages either. The last are added
again, since that is where `pip install --user modal` puts it.
"""

from __future__ import annotations

import os
import site
import sys
from pathlib import Path


def user_packages() -> str | None:
    """Where the interpreter would look for the user's packages without -I, see PEP 370."""
    if not hasattr(os, "geteuid") or os.geteuid() != os.getuid() or os.getegid() != os.getgid():
        return None
    if sys.prefix != sys.base_prefix and not _sees_system_packages():
        return None
    packages = site.getusersitepackages()
    return packages if Path(packages).is_absolute() and Path(packages).is_dir() else None


def _sees_system_packages() -> bool:
    """Says whether a virtual environment lets in what is outside of it."""
    try:
        lines = Path(sys.prefix, "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    settings = {k.strip().lower(): v.strip().lower() for k, _, v in (line.partition("=") for line in lines)}
    return settings.get("include-system-site-packages") == "true"


def main() -> int:
    if packages := user_packages():
        site.addsitedir(packages)
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from glue_sidecar.__main__ import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
