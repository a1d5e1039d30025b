# Makes the root file system of an image from the Debian packages of a lock.
#   sh root.sh LOCK ROOT CACHE MIRROR...
# It takes each file from CACHE, the first MIRROR that has it, or Debian's archive of old packages, and verifies its
# SHA-256. No script of a package runs, so the result depends on the lock alone, and any architecture can be made.
# It ends with 3 if a file is nowhere to be had, and names these files.
set -eu
lock=$1 root=$2 cache=$3
shift 3
mkdir -p "$cache" "$root"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Each line is the sum, the name and the path of a file. base-files comes first: it has the links /bin, /lib and /sbin
# that the other packages are unpacked through.
sed -n 's|^\([0-9a-f]*\)  \(.*/\([^/]*\)\)$|\1  \3 \2|p' "$lock" >"$work/all"
[ -s "$work/all" ] || { echo "$lock names no package: run \`make lock-images\`" >&2; exit 1; }
{ grep '  base-files_' "$work/all" || :; grep -v '  base-files_' "$work/all" || :; } >"$work/files"

: >"$work/said"
missing() {
  find "$cache/" -name '*.deb' -type f -exec sha256sum {} + | sed 's|  .*/|  |; s|$| |' >"$work/have"
  grep -vFf "$work/have" "$work/files" >"$work/missing"
}

# apt refuses a file with another hash, and goes on with the others.
fetch() {
  mirror=${1%/}
  # Security updates are in an archive of their own, beside the mirror. Their paths begin with pool/updates/.
  security=$(printf '%s\n' "$mirror" | sed 's|/debian\(/[^/]*\)\{0,1\}$|/debian-security\1|')
  set --
  while read -r sum name path; do
    rm -f "$cache/$name"
    from=$mirror
    case $path in pool/updates/*) from=$security ;; esac
    set -- "$@" "$from/$path" "$cache/$name" "SHA256:$sum"
  done <"$work/missing"
  LC_ALL=C /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root -o Acquire::Retries=1 \
    download-file "$@" >"$work/log" 2>&1 || grep '^E:' "$work/log" | sort -u | head -n 2 >>"$work/said"
}

snapshot=$(sed -n 's/^# snapshot //p' "$lock")
for source in "$@" ${snapshot:+"http://snapshot.debian.org/archive/debian/$snapshot"}; do
  ! missing || fetch "$source"
done
if missing; then
  echo "neither a mirror nor Debian's archive of old packages has these packages of $lock:" >&2
  cut -d ' ' -f 3 "$work/missing" | sed 's/^/  /' | head -n 6 >&2
  head -n 4 "$work/said" >&2
  exit 3
fi

while read -r _ name _; do
  dpkg-deb --extract "$cache/$name" "$root"
done <"$work/files"

# Vulnerability scanners read the packages of an image without dpkg from here.
mkdir -p "$root/var/lib/dpkg/status.d"
while read -r _ name _; do
  dpkg-deb --field "$cache/$name" >"$root/var/lib/dpkg/status.d/${name%%_*}"
done <"$work/files"

# What the scripts of base-passwd and libc-bin would do.
if [ -d "$root/usr/share/base-passwd" ]; then
  cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
  cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
  cp "$root/usr/share/libc-bin/nsswitch.conf" "$root/etc/nsswitch.conf"
fi
mkdir -p "$root/usr/bin" "$root/tmp" "$root/run" "$root/var/tmp"
chmod 1777 "$root/tmp" "$root/var/tmp"

# Debian's psql is a Perl program that chooses between versions. Here is one version, without Perl.
for program in "$root"/usr/lib/postgresql/*/bin/*; do
  [ ! -e "$program" ] || ln -sf "${program#"$root"}" "$root/usr/bin/"
done

# What a container never uses. The licences stay.
find "$root/usr/share/doc" -type f ! -name copyright -delete 2>/dev/null || :
rm -rf "$root/usr/share/man" "$root/usr/share/info" "$root/usr/share/locale" "$root/usr/share/bash-completion" \
  "$root/usr/share/lintian" "$root/usr/share/perl5" "$root"/usr/share/postgresql/*/man \
  "$root"/usr/lib/postgresql/*/lib/pgxs "$root"/usr/lib/*/gconv "$root/usr/lib/systemd" \
  "$root/usr/lib/tmpfiles.d" "$root/usr/lib/sysusers.d" "$root/etc/init.d" "$root/etc/pgbouncer" "$root/etc/default" \
  "$root/etc/logrotate.d" "$root/boot" "$root/home" "$root/media" "$root/mnt" "$root/opt" "$root/srv" \
  "$root/var/cache" "$root/var/log"
mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/var/cache" "$root/var/log"
find "$root" -depth -type d -empty -path "$root/usr/share/*" -delete
# No program of the image changes its user.
find "$root" -type f -perm /6000 -exec chmod ug-s {} +
