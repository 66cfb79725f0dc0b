"""Hosts as people write them, before anything is looked up."""


def bare(host: str) -> str:
    """A host without the brackets that an IPv6 address has in front of a port."""
    if host.startswith("[") and host.endswith("]") and ":" in host:
        return host[1:-1]
    return host
