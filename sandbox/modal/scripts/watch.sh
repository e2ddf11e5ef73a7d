# Tells what a place holds whenever that changed: $1 a word, $2 the place, $3 gnu or stat, $4
# how deep, "" for all. It looks, waits, and looks again; the waits are long where looking is.
word=$1 how=$3
case $2 in */*) ;; *) exit 1 ;; esac
there "$2" || absent "$2"
if [ -d "$2" ]; then base=$2 name=.
else
  base=${2%/*} name=./${2##*/}
fi
deep=
[ -z "$4" ] || deep="-maxdepth $4"
cd -- "${base:-/}" || no permissionDenied
dir=$(mktemp -d /tmp/.glue-XXXXXXXXXX) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 0' HUP INT TERM
: >"$dir/old"
while :; do
  if [ "$how" = gnu ]; then
    find "$name" $deep -printf '%y %m %s %i %T@ %C@ %p\0\0' 2>/dev/null >"$dir/new"
    printf 'end 0\0\0' >>"$dir/new"
  else
    find "$name" $deep -exec stat -c "$word %f %s %i %Y %Z %n" {} + 2>/dev/null >"$dir/new"
    # Times of whole seconds do not show that a young file changed once more.
    find "$name" $deep -type f -mmin -1 -size -2048k -exec cksum {} + 2>/dev/null | sed "s/^/$word sum /" >>"$dir/new"
    printf '%s end 0\n%s ' "$word" "$word" >>"$dir/new"
  fi
  if ! cmp -s "$dir/old" "$dir/new"; then
    cat "$dir/new"
    mv -f "$dir/new" "$dir/old"
  fi
  sleep 0.3 2>/dev/null || sleep 1
done
