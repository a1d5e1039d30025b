# Makes every pod of the pool open new connections to the database, because the prepared statements of the open ones have
# plans of the old schema. psql finds the user, password and console in its environment. POOL_HOST is a name that resolves
# to the address of every pod.
set -eu
told=
waited=0
while :; do
  left=
  for address in $(getent ahosts "$POOL_HOST" | cut -d ' ' -f 1 | sort -u); do
    case " $told " in *" $address "*) continue ;; esac
    # RECONNECT aborts a server login in progress. If it is the only connection, PgBouncer refuses every waiting client.
    case $(PGHOSTADDR=$address psql --no-psqlrc --quiet --tuples-only --no-align --command='SHOW SERVERS' || true) in
    *'|new|'*)
      if [ "$waited" -lt 10 ]; then
        left="$left $address"
        continue
      fi
      ;;
    esac
    if PGHOSTADDR=$address psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --command=RECONNECT; then
      told="$told $address"
      echo "pod $address of the pool opens new connections"
    else
      left="$left $address"
    fi
  done
  [ -z "$told" ] || [ -n "$left" ] || exit 0
  # A stopping pod accepts no connections while it waits for its last clients. It ends soon.
  if [ "$waited" -ge "$POOL_WAIT_SECONDS" ]; then
    echo "after $waited s these pods of the pool were not reached:${left:- $POOL_HOST has no address}" >&2
    exit 1
  fi
  sleep 1
  waited=$((waited + 1))
done
