"""Which network interface the processes of several machines meet on."""

import os
import socket
from contextlib import suppress

import psutil

_VARIABLE = "GLOO_SOCKET_IFNAME"


def choose_interface(master: str) -> None:
    """Have gloo listen where the machine of the first process finds it, unless the user has chosen an interface.

    Gloo takes the address of the host's name. Debian and others let that be 127.0.1.1 or 127.0.0.1, so that processes
    on other machines connect to themselves and give up. The interface towards `master`, MASTER_ADDR, is the right one.
    """
    if _VARIABLE in os.environ or _is_loopback(master) or not _is_loopback(socket.gethostname()):
        return
    if name := interface_towards(master):
        os.environ[_VARIABLE] = name


def interface_towards(address: str) -> str | None:
    """Return the interface that a connection to `address` leaves from; None if there is no way. Nothing is sent."""
    with suppress(OSError):
        family, kind, *_, place = socket.getaddrinfo(address, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(place)
            own = probe.getsockname()[0]
        for name, addresses in psutil.net_if_addrs().items():
            if any(each.address.partition("%")[0] == own for each in addresses):
                return str(name)
    return None


def _is_loopback(host: str) -> bool:
    """Tell whether the name or address leads to this machine alone; a name that leads nowhere does not help either."""
    try:
        return socket.gethostbyname(host).startswith("127.")
    except OSError:
        return True
