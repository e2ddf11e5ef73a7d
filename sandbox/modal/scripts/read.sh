# Gives the size of the file $1, and from byte $2 on at most $3 bytes, or all if that is -1.
p=$1
[ -e "$p" ] || { [ -L "$p" ] && no fileNotFound; absent "$p"; }
[ -d "$p" ] && no isADirectory
[ -f "$p" ] || no unsupported
[ -r "$p" ] || no permissionDenied
size=$(stat -L -c %s -- "$p") || exit 1
printf '%s\n' "$size"
[ "$2" -lt "$size" ] || exit 0
if [ "$3" -ge 0 ]; then tail -c "+$(($2 + 1))" <"$p" | head -c "$3"
elif [ "$2" -gt 0 ]; then tail -c "+$(($2 + 1))" <"$p"
else cat <"$p"
fi
