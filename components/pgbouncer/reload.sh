# Has PgBouncer read its files when the kubelet has changed them. The kubelet writes a new folder and then points the link ..data to it, so the
# links' targets are the files' version; the arguments are the links to watch. While PgBouncer does not answer it is asked again. psql
# finds its console by the environment.
trap 'exit 0' TERM INT

# With a change of who it is in the database PgBouncer breaks off the logins that are under way and, when these were its only connections, turns
# away every client that waits. So it is asked at a moment without logins. One session looks and asks: between two, a login could begin.
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
      echo "PgBouncer has taken version $found of its files"
      ;;
    0login) waited=$((waited + 1)) ;;
    esac
  fi
  sleep 1 &
  wait $!
done
