# Makes the application's role, and gives the user of this generation its password. The way to the database as the master user is in
# libpq's variables (PGHOST, PGUSER, …), so that no password is among any process's arguments.
set -eu
here=/etc/bootstrap
password=$(cat /etc/credential/password)
[ -n "$password" ] || { echo "the credential holds no password" >&2; exit 1; }

sql() { psql --no-psqlrc --quiet --tuples-only --no-align "$@"; }
# A login with the password that the pool is about to use.
logs_in() {
  [ "$(
    PGUSER=$ROLE_USER
    PGPASSWORD=$password
    sql --command='select 1'
  )" = 1 ]
}

sql --file="$here/roles.sql"
echo "role $ROLE_GROUP and its users are there"

if logs_in 2>/dev/null; then
  echo "$ROLE_USER has this password already"
  exit
fi

# Whoever still is this user came in with the password of two generations ago: a pool that has not taken the last one. It would lose the
# database now.
waited=0
while :; do
  sessions=$(echo "select count(*) from pg_catalog.pg_stat_activity where usename = :'user'" | sql --set=user="$ROLE_USER")
  [ "$sessions" = 0 ] && break
  if [ "$waited" -ge "$ROLE_WAIT_SECONDS" ]; then
    echo "$ROLE_USER still has $sessions sessions, so its password is left as it is: not every pool has taken the last generation yet" >&2
    exit 1
  fi
  [ "$waited" -gt 0 ] || echo "waiting until $sessions sessions of $ROLE_USER have ended"
  sleep 2
  waited=$((waited + 2))
done

# psql makes the SCRAM verifier itself and sends only that: the password is in no statement, and so in no log of the server.
printf '%s\n%s\n' "$password" "$password" |
  PGOPTIONS='-c password_encryption=scram-sha-256' sql --set=ON_ERROR_STOP=1 --set=user="$ROLE_USER" --file="$here/password.sql" 2>/tmp/password.log || {
  grep -v '^Enter ' /tmp/password.log >&2 || :
  exit 1
}
logs_in
echo "$ROLE_USER logs in with the password of generation $ROLE_GENERATION"
