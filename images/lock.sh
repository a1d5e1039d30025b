# Prints the lock of an image: the Debian packages that it is made of, with the SHA-256 of each file.
#   sh lock.sh IMAGE ARCHITECTURE MIRROR
# IMAGE is a folder beside this script. Its file `packages` names the release and the packages; apt adds what they
# depend on. apt verifies the release's signature, and works in a folder of its own, without the machine's packages.
set -eu
image=$1 arch=$2 mirror=${3%/}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
recipe=$(cd "$(dirname "$0")" && pwd)/$image/packages
list() { sed -n "s/^$1: //p" "$recipe"; }
release=$(list release)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/sources"
# Security updates are in an archive of their own, beside the mirror, until the next point release.
echo "deb [signed-by=$keyring] $mirror $release main" >"$work/sources/debian.list"
echo "deb [signed-by=$keyring] $mirror-security $release-security main" >>"$work/sources/debian.list"
# apt takes these for installed, so that neither they nor what only they need becomes part of the image.
for name in $(list without); do
  printf 'Package: %s\nStatus: install ok installed\nArchitecture: all\nMulti-Arch: foreign\nVersion: 9999\n' "$name"
  printf 'Maintainer: none\nProvides: awk, perl:any, debconf-2.0\nDescription: none\n\n'
done >"$work/status"

apt() {
  # A mirror that lags serves a release file that has expired. It is signed, and the lock is reviewed like source code.
  LC_ALL=C apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/sources" \
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
    -o Dir::State::Lists="$work/lists" -o Dir::State::Status="$work/status" -o Dir::Cache="$work/cache" \
    -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User=root \
    -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none -o Acquire::ForceHash=SHA256 "$@"
}
apt update >&2
dated=$(sed -n 's/^Date: //p' "$work"/lists/*Release | while read -r date; do
  date -u -d "$date" +%Y-%m-%dT%H:%M:%SZ
done | sort | tail -n 1)
echo "# The packages of images/$image for $arch. Made by \`make lock-images\` from $image/packages."
echo "# release $release of $dated"
# The archive of old packages has each state of the mirror. A day later it surely has this one.
echo "# snapshot $(date -u -d "$dated + 1 day" +%Y%m%dT%H%M%SZ)"
# shellcheck disable=SC2046 # lists of words
{
  [ -z "$(list packages)" ] || apt install --print-uris --yes --no-install-recommends $(list packages)
  [ -z "$(list alone)" ] || apt download --print-uris $(list alone)
} >"$work/uris"
# Each line is 'URI' file size SHA256:hash. apt escapes characters that a URI may hold as they are.
sed -n "s|^'$mirror\(-security\)\{0,1\}/\([^']*\)' [^ ]* [0-9]* SHA256:\([0-9a-f]*\)\$|\3  \2|p" "$work/uris" |
  sed 's/%2b/+/g; s/%7e/~/g' | LC_ALL=C sort -k 2
