#!/bin/sh
# A pgbouncer for tests, before a PostgreSQL that pg-up.sh made: it listens on 127.0.0.1 PORT alone,
# takes everybody in as the role `farm`, whose password is in PGPASSWORD, and keeps all it has in
# FOLDER. It runs until the process in FOLDER/pid is ended.
#
#   pgbouncer-up.sh FOLDER PORT POSTGRESQL_PORT session|transaction|statement
#
# Exit status 77: this machine does not let us, and the reason is on standard error.
set -eu

folder=${1:?usage: pgbouncer-up.sh FOLDER PORT POSTGRESQL_PORT MODE}
port=${2:?usage: pgbouncer-up.sh FOLDER PORT POSTGRESQL_PORT MODE}
behind=${3:?usage: pgbouncer-up.sh FOLDER PORT POSTGRESQL_PORT MODE}
mode=${4:?usage: pgbouncer-up.sh FOLDER PORT POSTGRESQL_PORT MODE}
password=${PGPASSWORD:?the password of the role farm}
PATH=$PATH:/usr/sbin:/sbin

cannot() { echo "pgbouncer-up: $1" >&2; exit 77; }

command -v pgbouncer >/dev/null || cannot "pgbouncer is not installed"
as=
if [ "$(id -u)" = 0 ]; then # it does not run as root
    id postgres >/dev/null 2>&1 || cannot "there is no user postgres to run it"
    command -v setpriv >/dev/null || cannot "setpriv (util-linux) is not installed"
    as="setpriv --reuid postgres --regid postgres --init-groups"
fi
mkdir -p "$folder"
cat >"$folder/pgbouncer.ini" <<INI
[databases]
* = host=127.0.0.1 port=$behind user=farm password=$password
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
pool_mode = $mode
default_pool_size = 10
logfile = $folder/log
pidfile = $folder/pid
INI
[ -z "$as" ] || chown -R postgres "$folder"
cd /
$as pgbouncer -d -q "$folder/pgbouncer.ini" || { tail -n 20 "$folder/log" >&2; exit 1; }
