# Makes PgBouncer reread its files after the kubelet has changed them. The kubelet writes a new folder and then points the
# link ..data to it, so the target of the link is the version of the files. The arguments are the links to watch. If
# PgBouncer does not answer, the script asks again. psql finds PgBouncer's console by the environment.
trap 'exit 0' TERM INT

# If the database user changes, PgBouncer aborts the server logins in progress. If these are its only connections, it
# refuses every waiting client. The script therefore waits for a moment without logins. One session both looks and
# reloads, because a login could start between two sessions.
reload() {
  psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --set=servers="$PGHOST/servers" <<'END'
\o :servers
SHOW SERVERS;
\o
\set login `grep -q '|new|' "$PGHOST/servers" && echo 1 || echo 0`
\if :login
  \echo login
\else
  RELOAD;
\endif
END
}

taken=
waited=0
while :; do
  found=
  for link in "$@"; do
    found=$found$(readlink "$link")
  done
  if [ "$found" != "$taken" ]; then
    if [ "$waited" -ge 10 ]; then
      said=$(psql --no-psqlrc --quiet --command=RELOAD)
    else
      said=$(reload)
    fi
    case $?$said in
    0)
      taken=$found
      waited=0
      echo "PgBouncer has read version $found of its files"
      ;;
    0login) waited=$((waited + 1)) ;;
    esac
  fi
  sleep 1 &
  wait $!
done
