"""The door of a listener behind load balancers: who connects is asked for the PROXY header before anything else.

The header comes in clear, also in front of a TLS handshake, and not an octet behind it may be read with it: so it is
looked at in the socket before an event loop's transport takes that over. Leaves out: the header's form (`proxy`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from gateway.smtp.proxy import CUT_OFF, MAX_V2, BadHeader, Header, parse, plain
from gateway.smtp.sessions import Sessions
from gateway.world.sockets import Socket, accept, peek

BATCH = 64  # Connections in one go, before others get their turn.
PAUSE = 1.0  # Seconds after which we try again where there are no descriptors left.

# Reasons, as they stand in the log, besides those of `proxy`.
TIME_RAN_OUT = "time ran out"
FOREIGN_LOOPBACK = "it names a loopback address, but comes from another machine"


class Entrance:
    """Takes in clients for `sessions`, whose terms name the proxies. `sockets` and `close` are as of asyncio.Server."""

    def __init__(self, sessions: Sessions, door: Socket, loop: asyncio.AbstractEventLoop) -> None:
        self.sockets = (door,)
        self._sessions = sessions
        self._door = door
        self._loop = loop
        self._arriving: set[asyncio.Task[None]] = set()
        self._open = False
        self._listen()

    def _listen(self) -> None:
        self._loop.add_reader(self._door.fileno(), self._accept)
        self._open = True

    def close(self) -> None:
        """Take no more connections. Those that did not get past their header or handshake end; proxies try again."""
        if self._open:
            self._loop.remove_reader(self._door.fileno())
            self._open = False
        self._door.close()
        for task in self._arriving:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(BATCH):
            try:
                found = accept(self._door)
            except OSError as error:
                self._sessions.desk.tell(
                    "error", "accept_failed", listener=self._sessions.terms.name, error=type(error).__name__
                )
                self._loop.remove_reader(self._door.fileno())
                self._open = False
                self._hold(self._rest())
                return
            if found is None:
                return
            client, address = found
            if len(self._arriving) >= self._sessions.terms.max_connections:
                client.close()
                continue
            self._hold(self._welcome(client, address))

    def _hold(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _rest(self) -> None:
        """Out of descriptors: who waits is left waiting, instead of asking the kernel again at once."""
        await self._sessions.desk.clock.sleep(PAUSE)
        self._listen()

    async def _welcome(self, client: Socket, address: str) -> None:
        """Find out who it is, then make it a session. It ends here where the header is bad or TLS fails."""
        terms = self._sessions.terms
        taken = False
        try:
            session = self._sessions()
            if is_proxy(address, terms.proxies):
                header = await self._header(client, address)
                if header is None:
                    return
                if header.source is not None:
                    session.came_by(address, header.source)
            taken = True  # From here on the transport closes it.
            await self._loop.connect_accepted_socket(
                lambda: session,
                client,
                ssl=terms.tls if terms.implicit else None,
                ssl_handshake_timeout=terms.deadlines.greeting if terms.implicit else None,
            )
        except (OSError, ssl.SSLError):
            return  # The handshake failed, or the client is gone: nothing was said yet that anybody would miss.
        finally:
            if not taken:
                client.close()

    async def _header(self, client: Socket, address: str) -> Header | None:
        """The header, read from the socket and nothing else with it; None where there is none to go on with.

        A load balancer that looks whether we are there connects and leaves: that is nothing to tell anybody.
        """
        desk, terms = self._sessions.desk, self._sessions.terms
        try:
            async with desk.clock.timeout(terms.deadlines.greeting):
                header = await self._read(client)
            if header is not None and header.source is not None:
                _judge(header.source[0], address)
            return header
        except BadHeader as bad:
            reason = bad.reason
        except TimeoutError:
            reason = TIME_RAN_OUT
        desk.tell("warning", "proxy_header_refused", proxy=address, listener=terms.name, reason=reason)
        return None

    async def _read(self, client: Socket) -> Header | None:
        octets = b""
        while True:
            try:
                come = peek(client, MAX_V2 - len(octets))
            except OSError:
                come = b""
            if come is None:
                await self._readable(client)
                continue
            if not come:
                if octets:
                    raise BadHeader(CUT_OFF)
                return None
            header = parse(octets + come)
            self._take(client, len(come) if header is None else header.length - len(octets))
            if header is not None:
                return header
            octets += come

    def _take(self, client: Socket, count: int) -> None:
        """Read so many octets that were seen to be there."""
        while count > 0:
            count -= len(client.recv(count)) or count

    async def _readable(self, client: Socket) -> None:
        """Wait until something comes."""
        ready = asyncio.Event()
        descriptor = client.fileno()
        self._loop.add_reader(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            self._loop.remove_reader(descriptor)


def is_proxy(address: str, proxies: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether who connects from `address` is believed, and has to say for whom it speaks."""
    try:
        found = ip_address(plain(ip_address(address)))
    except ValueError:
        return False
    return any(found in network for network in proxies)


def _judge(source: str, proxy: str) -> None:
    """Raises BadHeader for a loopback address of another machine: with us, it would be one of our own programs."""
    if ip_address(source).is_loopback and not ip_address(proxy).is_loopback:
        raise BadHeader(FOREIGN_LOOPBACK)
