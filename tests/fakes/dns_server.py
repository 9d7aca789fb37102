"""A DNS server on a free loopback port (UDP and TCP), whose records the test gives."""

from __future__ import annotations

import asyncio
import struct
from types import TracebackType
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class FakeDns:
    """`zone` has lines such as "x.test. 60 IN MX 10 a.test."; a name in none of them does not exist.

    `failing` names get SERVFAIL, `silent` ones (or (name, type) pairs) no answer. `soa_minimum` stands in the SOA of
    "there is none"; None leaves it out. `truncates`: answers by UDP are cut, so that TCP must be used. `asked` has the
    questions. Nothing is answered before `gate` is set, where there is one.
    """

    def __init__(self, *zone: str) -> None:
        self.zone = list(zone)
        self.failing: set[str] = set()
        self.silent: set[object] = set()
        self.soa_minimum: int | None = 900
        self.truncates = False
        self.asked: list[tuple[str, str]] = []
        self.by_tcp = 0
        self.gate: asyncio.Event | None = None
        self.address = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FakeDns:
        self._tcp = await asyncio.start_server(self._stream, "127.0.0.1", 0)
        port = self._tcp.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Packets(self), ("127.0.0.1", port))
        self.address = f"127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tcp.close()
        self._udp.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, octets: bytes, address: tuple[str, int], transport: asyncio.DatagramTransport) -> None:
        """Answer one packet."""
        task = asyncio.ensure_future(self._packet(octets, address, transport))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _packet(self, octets: bytes, address: tuple[str, int], transport: asyncio.DatagramTransport) -> None:
        answer = await self._answer(octets)
        if answer is None:
            return
        if self.truncates:
            answer.flags |= dns.flags.TC
            answer.answer = []
        transport.sendto(answer.to_wire(), address)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.by_tcp += 1
        (length,) = struct.unpack(">H", await reader.readexactly(2))
        answer = await self._answer(await reader.readexactly(length))
        if answer is not None:
            wire = answer.to_wire(max_size=65535)  # Not what the question says of UDP.
            writer.write(struct.pack(">H", len(wire)) + wire)
            await writer.drain()
        writer.close()

    async def _answer(self, octets: bytes) -> dns.message.Message | None:
        query = dns.message.from_wire(octets)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if self.gate is not None:
            await self.gate.wait()
        if name in self.silent or (name, kind) in self.silent:
            return None
        answer = dns.message.make_response(query)
        if name in self.failing:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer
        lines = [line.split(maxsplit=4) for line in self.zone]
        known = [line for line in lines if line[0].rstrip(".") == name]
        if not known:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        found = [line for line in known if line[3] == kind]
        if found:
            owner, ttl = found[0][:2]
            values = [line[4] for line in found]
            answer.answer.append(dns.rrset.from_text_list(owner, int(ttl), "IN", kind, values))
        if not found and self.soa_minimum is not None:
            soa = f"ns.test. root.test. 1 2 3 4 {self.soa_minimum}"
            answer.authority.append(dns.rrset.from_text("test.", 86400, "IN", "SOA", soa))
        return answer


class _Packets(asyncio.DatagramProtocol):
    def __init__(self, server: FakeDns) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, octets: bytes, address: tuple[str, int]) -> None:
        self._server.start(octets, address, self._transport)
