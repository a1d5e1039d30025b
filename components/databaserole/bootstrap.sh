# Creates the application's role and sets the password of this generation's user. libpq's variables (PGHOST, PGUSER, …)
# connect to the database as the master user, so that no password is an argument of a process.
set -eu
here=/etc/bootstrap
password=$(cat /etc/credential/password)
[ -n "$password" ] || { echo "the credential holds no password" >&2; exit 1; }

sql() { psql --no-psqlrc --quiet --tuples-only --no-align "$@"; }
# Logs in with the password that the pool will use.
logs_in() {
  [ "$(
    PGUSER=$ROLE_USER
    PGPASSWORD=$password
    sql --command='select 1'
  )" = 1 ]
}

other_names="set dbtier:role.name to another name and add 1 to dbtier:role.generation: the next up then makes new users \
beside the old ones"

sql --set=other_names="$other_names" --file="$here/roles.sql"
echo "role $ROLE_GROUP and its users exist"
sql --file="$here/drills.sql"

if logs_in 2>/dev/null; then
  echo "$ROLE_USER already has this password"
  exit
fi

may_change=$(sql --set=user="$ROLE_USER" <<'END'
select current_setting('server_version_num')::integer < 160000 or pg_catalog.pg_has_role(:'user', 'MEMBER WITH ADMIN OPTION')
END
)
[ "$may_change" = t ] || {
  echo "the master user is not allowed to set the password of $ROLE_USER: it has no ADMIN OPTION on it, because" \
    "someone else created it, or because it was created before an upgrade to PostgreSQL 16; $other_names" >&2
  exit 1
}

# A session of this user logged in with the password of two generations ago: its pool has not read the last generation
# yet, and would lose the database now.
waited=0
while :; do
  sessions=$(echo "select count(*) from pg_catalog.pg_stat_activity where usename = :'user'" |
    sql --set=user="$ROLE_USER")
  [ "$sessions" = 0 ] && break
  if [ "$waited" -ge "$ROLE_WAIT_SECONDS" ]; then
    echo "$ROLE_USER still has $sessions sessions, so its password is not changed:" \
      "a pool has not read the last generation yet" >&2
    exit 1
  fi
  [ "$waited" -gt 0 ] || echo "waiting until $sessions sessions of $ROLE_USER have ended"
  sleep 2
  waited=$((waited + 2))
done

# psql computes the SCRAM verifier and sends only that, so the password is in no statement and in no log of the server.
printf '%s\n%s\n' "$password" "$password" |
  PGOPTIONS='-c password_encryption=scram-sha-256' sql --set=ON_ERROR_STOP=1 --set=user="$ROLE_USER" \
    --file="$here/password.sql" 2>/tmp/password.log || {
  grep -v '^Enter ' /tmp/password.log >&2 || :
  exit 1
}
logs_in
echo "$ROLE_USER logs in with the password of generation $ROLE_GENERATION"
