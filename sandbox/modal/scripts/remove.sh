# Removes $1 by rm's rules: $2 recursive, $3 force, $4 the workspace, $5 where commands start.
guard "$1" "$4" "$5"
if ! there "$1"; then
  [ "$3" = 1 ] && exit 0
  absent "$1"
fi
if folder "$1"; then
  [ "$2" = 1 ] || no isADirectory
  mounted "$1" && no unsupported "something is mounted in it, which cannot be removed"
  rm -rf -- "$1"
else
  rm -f -- "$1"
fi
