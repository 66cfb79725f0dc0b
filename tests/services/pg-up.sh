#!/bin/sh
# A PostgreSQL cluster for tests: data, socket and log lie in FOLDER, and it listens on ADDRESS
# PORT alone. Its role `farm` may make databases and is no superuser; its password is in PGPASSWORD.
# Run again after a crash it is started with the data there are. Debian's own cluster is not touched.
#
#   pg-up.sh FOLDER PORT [on|off [ADDRESS]]
#                 whether what is committed is on the disk (fsync); `off` is the default, where no
#                 machine is to lose its power. ADDRESS is 127.0.0.1 if none is given
#   pg-down.sh FOLDER
#
# Exit status 77: this machine does not let us, and the reason is on standard error.
set -eu

folder=${1:?usage: pg-up.sh FOLDER PORT [on|off [ADDRESS]]}
port=${2:?usage: pg-up.sh FOLDER PORT [on|off [ADDRESS]]}
fsync=${3:-off}
address=${4:-127.0.0.1}
password=${PGPASSWORD:?the password of the role farm}
unset PGPASSWORD

cannot() { echo "pg-up: $1" >&2; exit 77; }
broken() { echo "pg-up: $1" >&2; tail -n 20 "$folder"/made "$folder"/log >&2 || true; exit 1; }

bin=
for candidate in "$(dirname "$(command -v postgres)")" /usr/pgsql-*/bin /usr/lib/postgresql/*/bin; do
    [ -x "$candidate/initdb" ] && [ -x "$candidate/postgres" ] && bin=$candidate
done
[ -n "$bin" ] || cannot "PostgreSQL is not installed"

# It does not run as root; whoever installed it made a user for it.
as=
if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 || cannot "there is no user postgres to run it"
    command -v setpriv >/dev/null || cannot "setpriv (util-linux) is not installed"
    as="setpriv --reuid postgres --regid postgres --init-groups"
    chown postgres "$folder"
    $as test -w "$folder" || cannot "the user postgres cannot get at $folder"
fi
cd /

if [ ! -s "$folder/data/PG_VERSION" ]; then
    $as "$bin/initdb" -D "$folder/data" -U postgres -E UTF8 --locale=C --no-sync \
        --auth-local=trust --auth-host=scram-sha-256 >"$folder/made" 2>&1 || broken "initdb failed"
    cat >>"$folder/data/postgresql.conf" <<CONF
listen_addresses = '$address'
port = $port
unix_socket_directories = '$folder'
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = 32MB
fsync = $fsync
CONF
    echo "host all all $address/24 scram-sha-256" >>"$folder/data/pg_hba.conf"
fi

# Those below a server that was killed may need a moment to end.
for _ in 1 2 3 4 5; do
    if $as "$bin/pg_ctl" -s -D "$folder/data" -l "$folder/log" -w -t 30 start >/dev/null 2>&1; then
        up=yes
        break
    fi
    sleep 0.5
done
[ "${up:-}" = yes ] || broken "it did not start"

printf '%s\n' "DO \$\$ BEGIN CREATE ROLE farm LOGIN CREATEDB PASSWORD '$password';" \
    'EXCEPTION WHEN duplicate_object THEN NULL; END $$' |
    $as "$bin/psql" -X -q -h "$folder" -p "$port" -U postgres -d postgres -v ON_ERROR_STOP=1 ||
    broken "it does not answer"
