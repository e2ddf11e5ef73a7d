# Lists the tree under $2: $1 a word that begins each record, $3 gnu for find's -printf or
# stat, $4 at most how deep, "" for all, $5 a name that is left out everywhere, "" for none;
# then patterns of folders that are left out. Every record names its path last.
word=$1 how=$3 depth=$4 without=$5
cd -- "$2" 2>/dev/null || absent "$2"
shift 5
n=$#
set -- "$@" '(' -name "$without" -prune ')'
while [ "$n" -gt 0 ]; do
  skip=$1
  shift
  set -- "$@" -o '(' -type d -path "$skip" -prune ')'
  n=$((n - 1))
done
[ -z "$depth" ] || set -- -maxdepth "$depth" "$@"
if [ "$how" = gnu ]; then
  printf 'now %s\0\0' "$(date +%s.%N)"
  find . "$@" -o -printf '%y %m %s %i %T@ %C@ %p\0%l\0'
  status=$?
else
  printf '%s now %s\n' "$word" "$(date +%s)"
  find . "$@" -o -exec stat -c "$word %f %s %i %Y %Z %n" {} +
  status=$?
fi
if [ $status = 1 ]; then
  for d in "$(find . "$@" -o -type d -exec sh -c 'for d do if [ ! -r "$d" ] || [ ! -x "$d" ]; then printf "%s\n" "$d"; fi; done' sh {} + 2>/dev/null)"; do
    [ -z "$d" ] || if [ "$how" = gnu ]; then printf '! %s\0\0' "$d"; else printf '%s ! %s\n' "$word" "$d"; fi
  done
fi
if [ "$how" = gnu ]; then printf 'end %s\0\0' $status; else printf '%s end %s\n' "$word" $status; fi
