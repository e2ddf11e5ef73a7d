# Gives the contents of many files, one after another: $1 the tree, $2 a word, $3 and $4 the
# formats of times; then their paths. After the word follows what they are by then.
cd -- "$1" || exit 1
word=$2 mtime=$3 ctime=$4
shift 4
for p do
  if [ ! -f "./$p" ] || [ -L "./$p" ]; then no conflict "it changed meanwhile"; fi
done
for p do
  shift
  set -- "$@" "./$p"
done
cat -- "$@" 2>/dev/null
printf '%s\n' "$word"
stat -c "$word %f %s %i $mtime $ctime %n" -- "$@" 2>/dev/null
exit 0
