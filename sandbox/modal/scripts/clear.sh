# Removes from the tree $1 what standard input names, each path with ./ before it and a NUL
# after it, with all that is in it. Also the file $2.
cd -- "$1" || exit 1
rm -f -- "$2" || exit 1
# What is mounted in the tree, a line each.
here=$(pwd -P)
mounts=$(while read -r _ _ _ _ at _; do
  case $at in "$here"/*) printf './%b\n' "$(printf %s "${at#"$here"/}" | sed 's/\\\([0-7][0-7][0-7]\)/\\0\1/g')" ;; esac
done </proc/self/mountinfo 2>/dev/null)
# Nothing is reached through a link, which may lead out of the tree, and nothing removed
# that is mounted: what a volume holds is no former tree's.
said=$(xargs -0 sh -c '
last=. line="
"
for p do
  rest=$0
  while [ -n "$rest" ]; do
    at=${rest%%"$line"*}
    rest=${rest#"$at"}
    rest=${rest#"$line"}
    mounted=
    case $at/ in "$p"/*) mounted=1 ;; esac
    case $p in "$at"/*) mounted=1 ;; esac
    if [ -n "$mounted" ]; then printf "mounted %s\n" "${at#./}"; exit 255; fi
  done
  dir=${p%/*}
  [ "$dir" != "$last" ] || continue
  last=$dir
  while [ "$dir" != . ]; do
    if [ -L "$dir" ]; then printf "%s is a link by now\n" "$dir"; exit 255; fi
    dir=${dir%/*}
  done
done
rm -rf -- "$@"' "$mounts" 2>&1)
status=$?
[ $status != 0 ] || exit 0
said=$(printf '%s\n' "$said" | head -n 1)
case $said in
"mounted "*) no conflict "${said#mounted } is mounted in the workspace folder, and what it holds is not removed for a tree; mount it elsewhere, or where the tree's rules ignore it" ;;
esac
printf '%s\n' "$said" >&2
exit $status
