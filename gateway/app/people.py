"""People who may log in, joined for one process: who judges them at the doors, and what `gateway user` asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gateway.accounts.attempts import Attempts
from gateway.accounts.login import LogIns
from gateway.accounts.names import BadName, normal_name
from gateway.accounts.passwords import Passwords
from gateway.accounts.register import Register, RegisterFault, is_short
from gateway.app.channel import Fault
from gateway.connectors.model import Domains
from gateway.storage.accounts import Account, AccountStore, Transactions
from gateway.storage.sealer import KeysClosed, SealBroken, Sealer
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import Chance
from gateway.world.clock import Clock, rfc3339

ENABLED = "enabled"
DISABLED = "disabled"
NEEDS_PASSWORD = "needs_password"  # noqa: S105 - a state: under `[security] fips` its hash can't be judged


class People:
    """`log_ins` is for the doors; `answer` for the command line. `accepted` are the domains of ours at this moment."""

    def __init__(
        self,
        shared: Transactions,
        sealer: Sealer,
        *,
        fips: bool,
        clock: Clock,
        chance: Chance,
        tell: Callable[..., None],
        accepted: Callable[[], Domains],
    ) -> None:
        store = AccountStore(shared, sealer)
        self._passwords = Passwords(fips=fips, chance=chance)
        self._register = Register(store, self._passwords, clock=clock, chance=chance)
        self._tell = tell
        self._accepted = accepted
        self.log_ins = LogIns(store, self._passwords, Attempts(clock, chance), clock=clock, tell=tell)

    def close(self) -> None:
        """End the threads. Blocks."""
        self._passwords.close()

    async def provide(self, name: str, addresses: Sequence[str], password: str | None) -> tuple[str, str | None]:
        """The name of the account `name`, which gets these addresses too; where there is none it is made, and a
        password that was made for it comes along. An account that is there keeps its password. Raises Fault.
        """
        try:
            normal = normal_name(name)
            if await self._register.get(normal) is not None:
                if password is not None:
                    raise Fault(
                        f"there is an account {normal} already, and its password stays as it is; right would be no "
                        f"password here, and gateway user password {normal} for another one"
                    )
                self._changed(await self._register.change_addresses(normal, add=addresses))
                return normal, None
            given = self._register.generated() if password is None else password
            self._changed(await self._register.add(normal, addresses, given), given)
        except (RegisterFault, BadName) as fault:
            raise Fault(str(fault)) from None
        return normal, given if password is None else None

    async def answer(self, command: str, arguments: dict[str, Any]) -> Any:
        """A JSON value. Raises Fault, whose text holds no password."""
        try:
            match command:
                case "user.list":
                    return [_row(account, usable) for account, usable in await self._register.all()]
                case "user.add":
                    return await self._add(**arguments)
                case "user.password":
                    return await self._set_password(**arguments)
                case "user.remove":
                    name = await self._register.remove(arguments["name"])
                    self._tell("info", "account_removed", user=name)
                    return {"name": name}
                case "user.disable" | "user.enable":
                    disabled = command == "user.disable"
                    return self._changed(await self._register.set_disabled(arguments["name"], disabled))
                case "user.addresses":
                    return self._changed(await self._register.change_addresses(**arguments))
        except RegisterFault as fault:
            raise Fault(str(fault)) from None
        except (StorageBroken, StorageFull, SealBroken, KeysClosed) as error:
            raise Fault(f"the accounts can't be used: {error}") from error
        raise Fault(f"there is no command {command!r}")

    async def _add(self, name: str, addresses: Sequence[str], password: str | None) -> dict[str, Any]:
        """`password` None: make one, and tell it."""
        given = self._register.generated() if password is None else password
        account = await self._register.add(name, addresses, given)
        row = self._changed(account, given)
        return row if password is not None else row | {"password": given}

    async def _set_password(self, name: str, password: str | None) -> dict[str, Any]:
        given = self._register.generated() if password is None else password
        row = self._changed(await self._register.set_password(name, given), given)
        return row if password is not None else row | {"password": given}

    def _changed(self, account: Account, password: str | None = None) -> dict[str, Any]:
        self._tell("info", "account_changed", user=account.name, disabled=account.disabled)
        row = _row(account, usable=self._passwords.usable(account.password))
        return row | {"warnings": self._warnings(account, password)}

    def _warnings(self, account: Account, password: str | None) -> list[str]:
        found = []
        if password is not None and is_short(password):
            found.append("the password has fewer than 8 octets: it is soon guessed")
        if not account.addresses:
            found.append(
                f"{account.name} has no address and can send nothing; "
                f"gateway user address add {account.name} ADDRESS gives one"
            )
        accepted = self._accepted()
        for address in account.addresses:
            domain = address.rpartition("@")[2]
            if accepted.closeness(domain) is None:
                found.append(f"{domain} of {address} is none of accepted_domains: answers to its mail do not come here")
        return found


def _row(account: Account, usable: bool) -> dict[str, Any]:
    return {
        "name": account.name,
        "addresses": list(account.addresses),
        "state": DISABLED if account.disabled else ENABLED if usable else NEEDS_PASSWORD,
        "created": rfc3339(account.created),
    }
