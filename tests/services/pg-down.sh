#!/bin/sh
# End the cluster that pg-up.sh FOLDER started, at once, and remove FOLDER. May be run again.
set -eu

folder=${1:?usage: pg-down.sh FOLDER}

pid=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null || true)
# After a crash the number may be anybody's.
if [ -n "$pid" ] && grep -q -s -a "$folder/data" "/proc/$pid/cmdline"; then
    kill -CONT "$pid" 2>/dev/null || true
    kill -QUIT "$pid" 2>/dev/null || true
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ -e "$folder/data/postmaster.pid" ] || break
        sleep 0.1
    done
fi
rm -rf "$folder"
