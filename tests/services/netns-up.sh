#!/bin/sh
# Two machines on this one, for tests: network namespaces NAME-a and NAME-b, each with an
# interface `eth0`, joined by a cable and by nothing else. This machine's own network is not touched.
#
#   netns-up.sh NAME      NAME-a is 10.99.0.1, NAME-b is 10.99.0.2
#   ip netns exec NAME-a COMMAND...
#
# Exit status 77: this machine does not let us, and the reason is on standard error.
set -eu

name=${1:?usage: netns-up.sh NAME}
here=$(dirname "$0")
PATH=$PATH:/usr/sbin:/sbin

cannot() {
    echo "netns-up: $1" >&2
    "$here/netns-down.sh" "$name"
    exit 77
}

[ "$(id -u)" = 0 ] || { echo "netns-up: only root can make network namespaces" >&2; exit 77; }
command -v ip >/dev/null || { echo "netns-up: ip (iproute2) is not installed" >&2; exit 77; }

ip netns add "$name-a" 2>/dev/null || cannot "no network namespaces here"
ip netns add "$name-b" 2>/dev/null || cannot "no second network namespace"
ip -n "$name-a" link add eth0 type veth peer name eth0 netns "$name-b" 2>/dev/null ||
    cannot "no veth pairs here"
for side in a b; do
    [ $side = a ] && address=10.99.0.1 || address=10.99.0.2
    ip -n "$name-$side" address add "$address/24" dev eth0
    ip -n "$name-$side" link set lo up
    ip -n "$name-$side" link set eth0 up
done
ip netns exec "$name-a" true 2>/dev/null || cannot "nothing can be run in a namespace here"
