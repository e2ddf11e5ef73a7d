# Makes the directory $1, with those above it if $2 is 1.
if [ "$2" = 1 ]; then
  [ -d "$1" ] && exit 0
  there "$1" && no fileExists
  why_absent "$1"
  [ $why = fileNotFound ] || no $why
  mkdir -p -- "$1"
else
  there "$1" && no fileExists
  [ -d "${1%/*}/" ] || absent "$1"
  mkdir -- "$1"
fi
