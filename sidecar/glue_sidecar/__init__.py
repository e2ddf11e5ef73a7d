"""Holds sandboxes of Modal for a server that is not written in Python.

The server starts this package as a process and talks JSON-RPC 2.0 over its standard
input and output, see `wire`. Files cross by local path, never as JSON. Start reading
in `service`, which lists every method.

The package needs Python 3.10 or later, the standard library and `modal`. It is run
from a private folder, so that nothing in a workspace is imported.
"""

PROTOCOL_VERSION = 1
