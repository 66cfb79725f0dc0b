#!/bin/sh
# Break and mend the cable between the two machines that netns-up.sh NAME made.
#
#   netns-fault.sh NAME drop     all that either sends is lost, and neither interface shows it
#   netns-fault.sh NAME cut      the cable is pulled: both interfaces lose their carrier
#   netns-fault.sh NAME heal     undo both
set -eu

usage="usage: netns-fault.sh NAME drop|cut|heal"
name=${1:?$usage}
PATH=$PATH:/usr/sbin:/sbin

neighbour() {
    ip -n "$name-a" neighbour "$1" 10.99.0.2 dev eth0 $2 && ip -n "$name-b" neighbour "$1" 10.99.0.1 dev eth0 $2
}

case ${2:?$usage} in
# Frames to a hardware address that nobody has go nowhere; it needs no module of the kernel.
drop) neighbour replace "lladdr 02:00:00:00:00:99 nud permanent" ;;
cut) ip -n "$name-b" link set eth0 down ;;
heal)
    neighbour del "" 2>/dev/null || true
    ip -n "$name-b" link set eth0 up
    ;;
*)
    echo "$usage" >&2
    exit 2
    ;;
esac
