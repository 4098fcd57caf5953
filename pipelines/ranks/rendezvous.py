"""The server where Horovod's ranks find each other, for nobody but them.

Horovod's own listens on every address of the machine and answers whoever asks. This one listens on
the address that the ranks know, and asks for a token. Horovod's client can't send one, but it puts
the server's address into a URL as it is: an address that ends with `/<token>` makes it the first
part of every path.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import socket
import threading
from collections.abc import Sequence
from typing import Any

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
_LARGEST = 1 << 20
"""Bytes of a value; Horovod's are addresses of a few hundred."""


class Rendezvous:
    """A running server. `address` and `port` are what Horovod is to be given.

    Listens on `host`; where that is no address of this machine (it lies behind a translated one),
    on all of them, and says so.
    """

    def __init__(self, host: str, slots: Sequence[Any]) -> None:
        from horovod.runner.http.http_server import RendezvousHTTPServer

        token = secrets.token_hex(16)
        handler = guarded(token)
        try:
            server = RendezvousHTTPServer((own_address(host), 0), handler, 0)
        except OSError as error:
            logger.warning(
                "ranks meet at %s, which is no address of this machine that others reach (%s): "
                "their server listens on all its addresses, behind a token. Close its ports to "
                "others.",
                *(host, error),
            )
            server = RendezvousHTTPServer(("", 0), handler, 0)
        server.init(list(slots))
        server.daemon_threads = True
        self._server = server
        self.port = int(server.server_address[1])
        self.address = f"{host}:{self.port}/{token}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def own_address(host: str) -> str:
    """Return the address of a host; raise OSError where only this machine itself has it so.

    Debian's /etc/hosts gives the machine's own name an address of the loopback.
    """
    found = socket.gethostbyname(host)
    if host != LOOPBACK and found.startswith("127."):
        raise OSError(f"{host} is {found} here")
    return found


def guarded(token: str) -> type[Any]:
    """Return Horovod's handler of requests, which answers only those that name the token."""
    from horovod.runner.http.http_server import RendezvousHandler

    class Guarded(RendezvousHandler):
        path: str

        def parse_request(self) -> bool:
            if not super().parse_request():
                return False
            # `/<token>:<port>/<scope>/<key>`: the port is what Horovod adds to an address.
            first, _, rest = self.path.removeprefix("/").partition("/")
            said = first.partition(":")[0]
            is_known = hmac.compare_digest(said.encode(), token.encode())
            length = self.headers.get("Content-Length", "0")
            is_small = length.isdecimal() and int(length) <= _LARGEST
            # Python's own server, which Horovod's is made of, would answer HEAD with files.
            if not (is_known and is_small and self.command in ("GET", "PUT", "DELETE")):
                self.send_error(403)
                return False
            self.path = f"/{rest}"
            return True

    return Guarded
