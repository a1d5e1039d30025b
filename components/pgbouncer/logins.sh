# Logs in to each database of the pool as the pool does: with the users, passwords and addresses in its own files.
# Prints a line for each user: "accepted <user>", or "failed <user>: <the last line that psql said>". No password is an
# argument of a process, and none is printed.
cd "${1:-/etc/pgbouncer}" || exit
authorities=${2:-/etc/pgbouncer-ca/ca.pem}
newline='
'

# undouble TEXT QUOTE: each doubled quote becomes one.
undouble() {
  rest=$1 text=
  while [ "$rest" != "${rest#*"$2$2"}" ]; do
    text=$text${rest%%"$2$2"*}$2
    rest=${rest#*"$2$2"}
  done
  text=$text$rest
}

# field NAME: the value of a line's pair. A quote within it is doubled.
field() {
  rest=${line#*" $1='"} text=
  while :; do
    text=$text${rest%%"'"*}
    rest=${rest#*"'"}
    case $rest in "'"*) text="$text'" rest=${rest#"'"} ;; *) return ;; esac
  done
}

# password USER: the password of the user in the pool's list.
password() {
  wanted=$1 found=
  while IFS= read -r entry; do
    entry=${entry#'"'}
    undouble "${entry%%'" "'*}" '"'
    [ "$text" = "$wanted" ] || continue
    entry=${entry#*'" "'}
    undouble "${entry%'"'}" '"'
    found=$text
  done <userlist.txt
}

checked=
while IFS= read -r line; do
  case $line in
  '[pgbouncer]') break ;;
  *" = host='"*) ;;
  *) continue ;;
  esac
  field host && host=$text
  field port && port=$text
  field dbname && database=$text
  field user && user=$text
  case $checked in *"|$host $port $user|"*) continue ;; esac
  checked="$checked|$host $port $user|"
  password "$user"
  said=$(PGHOST=$host PGPORT=$port PGDATABASE=$database PGUSER=$user PGPASSWORD=$found PGSSLMODE=verify-full \
    PGSSLROOTCERT=$authorities PGCONNECT_TIMEOUT=5 PGAPPNAME=dbtier-logins \
    psql --no-psqlrc --quiet --tuples-only --no-align --command='select 1' 2>&1 </dev/null)
  case $? in
  0) echo "accepted $user" ;;
  *) echo "failed $user: ${said##*"$newline"}" ;;
  esac
done <pgbouncer.ini
