# Describes paths: $1 a word that begins each record, $2 the format of a time; then the
# paths. Records name their path, since one may come or go meanwhile.
word=$1 time=$2
shift 2
stat -c "$word l %f %s $time %n" -- "$@" 2>/dev/null
stat -L -c "$word f %f %s $time %n" -- "$@" 2>/dev/null
for p do
  if [ -L "$p" ]; then
    printf '%s t %s\n' "$word" "$p"
    printf '%s v ' "$word"
    readlink -n -- "$p" && echo
  elif [ ! -e "$p" ]; then
    why_absent "$p"
    printf '%s %s %s\n' "$word" "$why" "$p"
  fi
done
exit 0
