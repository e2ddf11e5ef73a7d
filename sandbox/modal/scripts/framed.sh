# Gives files one by one, each between what it is before and after: for trees in motion.
cd -- "$1" || exit 1
word=$2 format="%f %s %i $3 $4"
shift 4
for p do
  p=./$p
  printf '%s before ' "$word"
  stat -c "$format" -- "$p" 2>/dev/null || echo
  printf '%s content ' "$word"
  if [ -L "$p" ]; then readlink -n -- "$p" 2>/dev/null
  elif [ -f "$p" ]; then cat <"$p" 2>/dev/null
  fi
  printf '%s after ' "$word"
  stat -c "$format" -- "$p" 2>/dev/null || echo
done
printf '%s end\n' "$word"
