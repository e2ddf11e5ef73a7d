# Fills the empty tree $1 from the tar file $2, for images without git. With $2 "" it looks
# only whether the tree can be filled.
root=$1
mkdir -p -- "$root" && cd -- "$root" || exit 1
if [ -z "$2" ]; then
  aside=
  for f in * .[!.]* ..?*; do
    there "$f" || continue
    [ -n "$aside" ] || aside=$(mktemp -d "$root.image-XXXXXXXXXX") || no conflict "the sandbox's image has files in the workspace folder, which cannot be moved aside"
    mv -- "./$f" "$aside/" || no conflict "the sandbox's image has files in the workspace folder, which cannot be moved aside"
  done
  exit 0
fi
umask 022
if ! tar -xpf "$2" 2>/dev/null; then
  rm -f -- "$2"
  empty_out
  no unavailable "the files could not be unpacked"
fi
rm -f -- "$2"
