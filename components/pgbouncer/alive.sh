# Liveness of PgBouncer. It fails if nothing accepts connections, and if one of these lasts for the number of seconds in
# the first argument:
# - PgBouncer's console does not answer. PgBouncer is one thread, so no client gets an answer either. A busy process
#   answers late.
# - PgBouncer does not resolve a name that this script resolves. Such a process may never recover (pgbouncer#1119). If
#   the name does not resolve here either, the resolver is at fault, and a restart would only cut the open connections.
# psql finds PgBouncer's console by the environment.
patience=$1
seen=$PGHOST/unresolved
silent=$PGHOST/silent

console() { timeout 8 psql --no-psqlrc --quiet --tuples-only --no-align --command="$1" 2>&1; }

hosts=$(console 'SHOW DNS_HOSTS') || case $hosts in
*refused* | *'No such file'* | *'temporarily unavailable'*) echo "$hosts" && exit 1 ;;
'' | *'timeout expired'*)
  now=$(date +%s)
  first=
  last=
  [ ! -f "$silent" ] || read -r first last <"$silent"
  # The file of an earlier process, or of a time without probes, does not count.
  [ -n "$last" ] && [ $((now - last)) -le "$patience" ] || first=$now
  echo "$first $now" >"$silent"
  [ $((now - first)) -ge "$patience" ] || exit 0
  echo "PgBouncer's console has not answered for $((now - first)) s"
  exit 1
  ;;
*) rm -f "$silent" && exit 0 ;;
esac
rm -f "$silent"

# Each line is a name, the seconds for which the result is kept, and the addresses, of which a failed lookup has none.
failing=
tried=
while IFS='|' read -r name kept addresses; do
  if [ -n "$name" ] && [ -z "$addresses" ] && timeout 5 getent ahosts "$name" >/dev/null 2>&1; then
    failing="$failing $name"
    [ "$kept" = 0 ] || tried=yes
  fi
done <<END
$hosts
END
if [ -z "$failing" ]; then
  rm -f "$seen"
  exit 0
fi
# A lookup that is in progress belongs to a server connection that is new.
case $(console 'SHOW SERVERS') in *'|new|'*) tried=yes ;; esac

# PgBouncer keeps a failed result until the name is needed again. A result that was not needed for longer than the
# patience may be out of date, and does not count.
now=$(date +%s)
first=
last=
[ ! -f "$seen" ] || read -r first last <"$seen"
[ -z "$tried" ] || last=$now
if [ -z "$last" ] || [ $((now - last)) -gt "$patience" ]; then
  rm -f "$seen"
  exit 0
fi
first=${first:-$now}
echo "$first $last" >"$seen"
if [ $((last - first)) -ge "$patience" ]; then
  echo "PgBouncer has not resolved$failing for $((last - first)) s, and this container does"
  exit 1
fi
