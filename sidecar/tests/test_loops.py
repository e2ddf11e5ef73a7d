"""The loop in which the SDK runs."""

from __future__ import annotations

import os
import subprocess
import sys

from .case import Case

# Prints in which loop the SDK looked at what a call was given.
LOOK = """
import asyncio, modal
from glue_sidecar.loops import Place

async def main():
    app = await modal.App.lookup.aio("tests", create_if_missing=True)
    sandbox = await modal.Sandbox.create.aio(app=app, timeout=60)
    try:
        place = Place()
        await sandbox.exec.aio("true", secrets=place)
        ran = []
        async def work():
            ran.append(asyncio.get_running_loop())
        await place.run(work)
        here = asyncio.get_running_loop()
        print("none" if place.loop is None else "ours" if place.loop is here else "theirs", ran == [place.loop])
    finally:
        await sandbox.terminate.aio()

asyncio.run(main())
"""


class Loops(Case):
    async def test_a_call_of_the_sdk_shows_in_which_loop_that_runs(self) -> None:
        # Should an SDK not look any more, tunnels still work, and cost a third more
        # processor time for each request: another way to its loop has to be found.
        env = {**os.environ, **self.emulator.env}
        done = subprocess.run([sys.executable, "-c", LOOK], env=env, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.stdout.split(), ["theirs", "True"], done.stderr)
