"""The door of a listener with TLS at once, or behind load balancers: of these, who connects is asked for the PROXY
header before anything else.

The header comes in clear, also in front of a TLS handshake, and not an octet behind it may be read with it: so it is
looked at in the socket before an event loop's transport takes that over. Leaves out: the header's form (`proxy`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from gateway.smtp.proxy import CUT_OFF, MAX_V2, BadHeader, Header, parse, plain
from gateway.smtp.session import Session
from gateway.smtp.sessions import Sessions
from gateway.world.sockets import Socket, peek
from gateway.world.threshold import Room, Threshold

# Reasons, as they stand in the log, besides those of `proxy`.
TIME_RAN_OUT = "time ran out"
FOREIGN_LOOPBACK = "it names a loopback address, but comes from another machine"


class Entrance:
    """Takes in clients for `sessions`, whose terms name the proxies. `sockets` and `close` are as of asyncio.Server.

    Closed, those that did not get past their header or handshake end; proxies try again.
    """

    def __init__(self, sessions: Sessions, doors: Sequence[Socket]) -> None:
        self.sockets = tuple(doors)
        self._sessions = sessions
        self._loop = asyncio.get_running_loop()
        self._threshold = Threshold(
            doors,
            meet=self._meet,
            context=lambda: sessions.terms.tls if sessions.terms.implicit else None,
            handshake=lambda: sessions.terms.deadlines.greeting,
            room=self._room,
            refused=lambda: sessions.desk.count("messages_refused_total", (sessions.terms.name, "421")),
            failed=self._failed,
            clock=sessions.desk.clock,
        )

    def __len__(self) -> int:
        """Clients on their way in."""
        return len(self._threshold)

    def close(self) -> None:
        """Take no more connections."""
        self._threshold.close()

    def _room(self, address: str) -> Room:
        terms = self._sessions.terms
        proxied = is_proxy(address, terms.proxies)
        return Room(terms.max_connections, terms.max_connections if proxied else terms.max_connections_per_client)

    def _failed(self, error: OSError) -> None:
        desk, terms = self._sessions.desk, self._sessions.terms
        desk.tell("error", "accept_failed", listener=terms.name, error=type(error).__name__)

    async def _meet(self, client: Socket, address: str) -> Session | None:
        """Find out who it is, and make it a session; None where the header is bad."""
        session = self._sessions()
        if is_proxy(address, self._sessions.terms.proxies):
            header = await self._header(client, address)
            if header is None:
                return None
            if header.source is not None:
                session.came_by(address, header.source)
        return session

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
