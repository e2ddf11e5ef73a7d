"""The emulator of Modal that tests run against, a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from typing import Any

BINARY = os.environ.get("MODALEMU", "modalemu")


class Emulator:
    """One emulator. It ends with its standard input, whatever becomes of the test."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([BINARY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self._process.stdout.readline())
        self.env = {
            "MODAL_SERVER_URL": self.ready["url"],
            "MODAL_TOKEN_ID": self.ready["tokenId"],
            "MODAL_TOKEN_SECRET": self.ready["tokenSecret"],
            "MODAL_DISABLE_API_PROXY": "1",
            "MODAL_CONFIG_PATH": os.devnull,
        }

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.ready["admin"] + "/stats") as answer:
            stats: dict[str, Any] = json.load(answer)
        return stats

    def post(self, path: str, body: dict[str, Any] | None = None) -> None:
        data = json.dumps(body or {}).encode()
        urllib.request.urlopen(urllib.request.Request(self.ready["admin"] + path, data=data, method="POST")).close()

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
