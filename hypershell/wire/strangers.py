"""The connections that have not proved the key yet: how many there may be, and which one goes.

Anybody may connect, so there are few of them (STRANGERS), and one more makes another go. Which one
decides whether a flood of strangers locks out those who hold the key. The rules, in this order:

1. An address has its share. The address with the most strangers loses one. One from which a peer
   has proved the key lately has four times the share of others.
2. Those that have said nothing go before those that have sent a valid greeting, the oldest first:
   it has had the longest time for it. The newest few do not count as silent, as their greeting is
   on its way.
3. Of those who have sent a greeting anyone may go. Were it the oldest, a flood of greetings would
   push out all who are in the middle of their handshake; so each has a fair chance to get through.
"""

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from hypershell.runtime import chance
from hypershell.wire.connection import Connection

STRANGERS = 128
"""Connections not yet authenticated; one more, and another gives way."""

_NEWEST = 8
"""Silent ones that have only just come."""

_SHARE_OF_KNOWN = 4
_MOST_KNOWN = 4096
"""Addresses that are remembered."""


@dataclass(slots=True)
class _Stranger:
    source: str
    has_greeted: bool = False


class Strangers:
    """Not thread-safe: its owner locks it."""

    def __init__(self, most: int = STRANGERS) -> None:
        self._most = most
        self._here: OrderedDict[Connection, _Stranger] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()

    def __iter__(self) -> Iterator[Connection]:
        """Those that are here, the oldest first."""
        return iter(self._here)

    def add(self, connection: Connection) -> Connection | None:
        """A connection came; the one that must go for it, if any, is not here any more."""
        self._here[connection] = _Stranger(source_of(connection.peer))
        return self.give_way() if len(self._here) > self._most else None

    def greeted(self, connection: Connection) -> None:
        """It has sent a valid greeting, which anybody can."""
        if stranger := self._here.get(connection):
            stranger.has_greeted = True

    def proved(self, connection: Connection) -> bool:
        """It has proved the key, and is a stranger no more; False if it had to go before."""
        stranger = self._here.pop(connection, None)
        if stranger is None:
            return False
        self._known[stranger.source] = None
        self._known.move_to_end(stranger.source)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return True

    def discard(self, connection: Connection) -> None:
        """It has gone."""
        self._here.pop(connection, None)

    def give_way(self) -> Connection | None:
        """Take out the one that is to go, and return it; None if nobody is here."""
        if not self._here:
            return None
        numbers = Counter(stranger.source for stranger in self._here.values())
        weights = {source: self._weight(source, number) for source, number in numbers.items()}
        most = max(weights.values())
        there = [(c, s) for c, s in self._here.items() if weights[s.source] == most]
        silent = [connection for connection, stranger in there if not stranger.has_greeted]
        greeted = [connection for connection, stranger in there if stranger.has_greeted]
        if len(silent) > _NEWEST or not greeted:
            going = silent[0]
        else:
            going = greeted[int(chance.uniform(0, len(greeted))) % len(greeted)]
        del self._here[going]
        return going

    def _weight(self, source: str, number: int) -> tuple[float, bool]:
        """How much more than its share an address has; of two alike, the unknown one loses."""
        is_known = source in self._known
        return (number / _SHARE_OF_KNOWN if is_known else number), not is_known


def source_of(host: str) -> str:
    """What counts as one address: of IPv6 the network of 64 bits, which is one customer's."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))
