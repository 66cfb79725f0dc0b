#!/bin/sh
# Take down what netns-up.sh NAME made, and end what still runs in it. May be run again.
set -eu

name=${1:?usage: netns-down.sh NAME}
PATH=$PATH:/usr/sbin:/sbin

command -v ip >/dev/null || exit 0
for side in "$name-a" "$name-b"; do
    [ -e "/run/netns/$side" ] || continue
    for process in $(ip netns pids "$side"); do
        kill -KILL "$process" 2>/dev/null || true
    done
    ip netns del "$side"
done
