# Renames or copies ($1 rename, copy) $2 to $3, replacing what is there if $4 is 1. $5 the
# workspace, $6 where commands start, $7 a name for an unfinished copy.
from=$2 to=$3
there "$from" || absent "$from"
if [ "$1" = rename ]; then
  guard "$from" "$5" "$6"
  guard "$to" "$5" "$6"
fi
case $to/ in "$from"/?*) ! folder "$from" || no invalidParams "a directory cannot go into itself" ;; esac
dir=${to%/*}
[ -d "${dir:-/}" ] || absent "$to"
if there "$to"; then
  [ "$4" = 1 ] || no fileExists
  if [ "$from" = "$to" ]; then exit 0; fi
  if folder "$from"; then
    folder "$to" || no notADirectory
    [ -z "$(ls -A -- "$to")" ] || no directoryNotEmpty
  else
    ! folder "$to" || no isADirectory
  fi
fi
if [ "$1" = copy ]; then
  [ -z "$(find "$from" ! -type f ! -type d ! -type l | head -n 1)" ] || no unsupported "what is neither a file, a directory nor a link cannot be copied"
  tmp=$dir/$7
  trap 'rm -rf -- "$tmp"' EXIT
  cp -RPp -- "$from" "$tmp" || exit 1
  from=$tmp
fi
if folder "$to"; then rmdir -- "$to" || exit 1; fi
place "$from" "$to"
