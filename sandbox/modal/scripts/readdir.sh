# Lists the directory $1: for each name its type, whether it is a link, and the name.
[ -d "$1" ] || { there "$1" && no notADirectory; absent "$1"; }
if [ ! -r "$1" ] || [ ! -x "$1" ]; then no permissionDenied; fi
cd -- "$1" || no permissionDenied
for f in * .[!.]* ..?*; do
  l=-
  [ -L "$f" ] && l=l
  if [ -d "$f" ]; then t=d
  elif [ -f "$f" ]; then t=f
  elif [ -e "$f" ] || [ $l = l ]; then t=o
  else continue
  fi
  printf '%s%s%s\0' $t $l "$f"
done
