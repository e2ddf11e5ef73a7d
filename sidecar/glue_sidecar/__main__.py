"""The process: standard input and output carry the protocol, and nothing else may.

usage: python -I … glue_sidecar [--control-fd N]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys

from .descriptors import Descriptors
from .errors import without_secrets
from .notices import Handler
from .service import Service
from .wire import Connection, FramingError

log = logging.getLogger(__name__)

# Seconds; the interpreter's own is 5 ms.
SWITCH_INTERVAL = 0.0002


def private_output() -> int:
    """Keeps standard output for the protocol, and sends what anybody prints to standard
    error."""
    mine = os.dup(1)
    os.set_inheritable(mine, False)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return mine


async def streams(out: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=64 << 10)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(0), "rb", 0))
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(out, "wb", 0))
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)


class Clean(logging.Formatter):
    """Writes log records without tokens."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


def log_to_server(service: Service) -> None:
    """From now on log lines go to the server as long as it is there."""
    root = logging.getLogger()
    handler = Handler(service.notices, lambda: service.connection is not None, root.handlers[0])
    handler.setFormatter(root.handlers[0].formatter)
    root.handlers = [handler]


async def serve(out: int, control: socket.socket | None) -> None:
    loop = asyncio.get_running_loop()
    service = Service(Descriptors(control))
    log_to_server(service)
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(sig, service.stopping.set)
    reader, writer = await streams(out)
    service.connection = Connection(reader, writer, service.methods())
    serving = asyncio.create_task(service.connection.serve())
    stopping = asyncio.create_task(service.stopping.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (serving, stopping):
        task.cancel()
        try:
            await task
        except FramingError as raised:
            log.error("the server's bytes are not frames: %s", raised)
        except asyncio.CancelledError:
            pass
        except Exception:
            # Whatever it was, sandboxes are still to be ended.
            log.exception("reading from the server")
    try:
        await hang_up(service, writer)
    finally:
        await service.end_all()


async def hang_up(service: Service, writer: asyncio.StreamWriter) -> None:
    """Ends the output once all answers are out, or nobody takes them. What comes after it
    takes minutes, in which the server is to wait for nothing of this process."""
    if service.connection is not None:
        await service.connection.finish()
    service.connection = None
    writer.transport.set_write_buffer_limits(0)  # drain waits for the last byte
    with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
        await asyncio.wait_for(writer.drain(), 1.0)
    if not writer.transport.is_closing():  # as it is when the server was killed; then abort would fail
        writer.transport.abort()


def main() -> int:
    out = private_output()
    parser = argparse.ArgumentParser(prog="glue_sidecar")
    parser.add_argument("--control-fd", type=int)
    args = parser.parse_args()
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setFormatter(Clean("%(name)s: %(message)s"))
    logging.basicConfig(handlers=[to_stderr], level=os.environ.get("GLUE_SIDECAR_LOG", "WARNING"))
    # What goes over the wire is no log's business: tokens are in it, in forms that nobody
    # would recognise.
    for name in ("hpack", "h2", "grpclib"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # On a cut network asyncio repeats one warning without end.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    control = None
    if args.control_fd is not None:
        control = socket.socket(fileno=args.control_fd)
        control.setblocking(False)
    # Each call crosses between this loop and the SDK's, which is a thread of its own: with
    # several calls at once either waits this long for the other to let go.
    sys.setswitchinterval(SWITCH_INTERVAL)
    asyncio.run(serve(out, control))
    return 0


if __name__ == "__main__":
    sys.exit(main())
