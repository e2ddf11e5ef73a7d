# Writes a file: $1 where, $2 1 if it may be made, $3 1 if it may be replaced, $4 its mode
# or "", $5 its size or "" to look only, $6 a name for the unfinished file, $7 a file that
# holds the content, "" for standard input.
p=$1 links=0
while [ -L "$p" ]; do
  links=$((links + 1))
  [ $links -le 40 ] || no invalidParams "too many levels of symbolic links"
  to=$(readlink -n -- "$p"; echo .)
  to=${to%.}
  case $to in
  /*) p=$to ;;
  *) p=${p%/*}/$to ;;
  esac
done
[ -d "$p" ] && no isADirectory
if [ -e "$p" ]; then
  [ -f "$p" ] || no unsupported
  [ "$3" = 1 ] || { [ "$2" = 1 ] || no fileNotFound; no fileExists; }
else
  why_absent "$p"
  [ $why = fileNotFound ] || no $why
  [ "$2" = 1 ] || no fileNotFound
fi
[ -n "$5" ] || exit 0
dir=${p%/*}
[ -d "${dir:-/}" ] || mkdir -p -- "$dir" || exit 1
tmp=$dir/$6
mode=$4
if [ -z "$mode" ]; then
  mode=644
  [ ! -f "$p" ] || mode=$(stat -c %a -- "$p") || exit 1
fi
trap 'rm -f -- "$tmp"' EXIT
if [ -n "$7" ]; then mv -- "$7" "$tmp" || exit 1
else cat >"$tmp" || exit 1
fi
got=$(stat -c %s -- "$tmp") || exit 1
[ "$got" = "$5" ] || no unavailable "the content did not arrive whole"
chmod "$mode" "$tmp" || exit 1
if [ "$3" = 1 ]; then place "$tmp" "$p"
else
  there "$p" && no fileExists
  ln -- "$tmp" "$p" 2>/dev/null || place "$tmp" "$p"
fi
