# Has every pod of the pool open new connections to the database: those that are open have prepared statements whose plans are of the old
# schema. psql finds user, password and the console in its environment; POOL_HOST is a name with the address of every pod.
set -eu
told=
waited=0
while :; do
  left=
  for address in $(getent ahosts "$POOL_HOST" | cut -d ' ' -f 1 | sort -u); do
    case " $told " in *" $address "*) continue ;; esac
    # RECONNECT breaks off a login that is under way; where that is the only connection, every client that waits is turned away.
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
      echo "the pool's pod $address opens new connections"
    else
      left="$left $address"
    fi
  done
  [ -z "$told" ] || [ -n "$left" ] || exit 0
  # A pod that waits for its last clients takes no more connections, and is gone soon.
  if [ "$waited" -ge "$POOL_WAIT_SECONDS" ]; then
    echo "after $waited s these pods of the pool have not been reached:${left:- none is known by the name $POOL_HOST}" >&2
    exit 1
  fi
  sleep 1
  waited=$((waited + 1))
done
