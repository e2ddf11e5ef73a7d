# Tells what git holds in $1, in lines, then a pack of what the host does not know: $2 the
# fingerprint of the last answer, $3 at most how many forgotten commits; then known ids.
cd -- "$1" || exit 1
last=$2 max=$3
shift 3
dir=$PWD/.git
if [ -f .git ]; then
  to=$(cat .git)
  dir=${to#gitdir: }
  case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
fi
common=$dir
if [ -f "$dir/commondir" ]; then
  common=$(cat "$dir/commondir")
  case $common in /*) ;; *) common=$dir/$common ;; esac
fi
print=$({
  echo "$dir"
  for f in "$dir/HEAD" "$common/config" "$common/packed-refs" "$dir/logs/HEAD" "$common/logs/refs/stash" "$common"/worktrees/*/HEAD "$common"/reftable/*; do
    echo "$f"
    cat "$f" 2>/dev/null
  done
  find "$common/refs" -type f 2>/dev/null | sort | while IFS= read -r f; do
    echo "$f"
    cat "$f" 2>/dev/null
  done
} | (cd / && git hash-object --stdin)) && [ -n "$print" ] || exit 1
echo "fingerprint $print"
[ "$print" != "$last" ] || exit 0
tmp=$(mktemp -d /tmp/.glue-XXXXXXXXXX) || exit 1
trap 'rm -rf "$tmp"' EXIT
problem() {
  if there .git; then printf 'problem %s\n' "$(tail -c 2000 "$tmp/said" | tr '\n' ' ')"
  else echo gone
  fi
  exit 0
}
r() { g --git-dir="$dir" "$@" 2>"$tmp/said"; }
r rev-parse --show-object-format >"$tmp/format" || problem
r for-each-ref --format='%(objectname) %(refname)' >"$tmp/refs" || problem
head=$(r rev-parse --quiet --verify 'HEAD^{commit}') || head=
branch=$(r symbolic-ref --quiet HEAD) || branch=
printf '%s\n' "$@" | r cat-file --batch-check='%(objectname) %(objecttype)' >"$tmp/known" || problem
sed -n 's/^\([0-9a-f]*\) \(commit\|tag\)$/^\1/p' "$tmp/known" >"$tmp/not"
{
  [ -z "$head" ] || echo "$head HEAD"
  cat "$tmp/refs"
  i=0
  for id in $(r rev-list --walk-reflogs --max-count=1000 refs/stash 2>/dev/null); do
    [ $i = 0 ] || echo "$id refs/stash-$i"
    i=$((i + 1))
  done
  i=0
  for id in $(r worktree list --porcelain | sed -n 's/^HEAD \([0-9a-f]*[1-9a-f][0-9a-f]*\)$/\1/p'); do
    [ "$id" = "$head" ] || echo "$id refs/worktrees/$i"
    i=$((i + 1))
  done
} >"$tmp/tips"
{ sed 's/^\([0-9a-f]*\) .*/^\1/' "$tmp/tips"; cat "$tmp/not"; } |
  r rev-list --reflog --ignore-missing --parents --max-count="$max" --stdin >"$tmp/forgotten" || problem
above=" $(sed 's/^[0-9a-f]* *//' "$tmp/forgotten" | tr '\n' ' ') "
while read -r id _; do
  case $above in *" $id "*) ;; *) echo "$id refs/reflog/$id" ;; esac
done <"$tmp/forgotten" >"$tmp/lost"
echo "format $(cat "$tmp/format")"
echo "head $head"
echo "branch $branch"
sed 's/^/ref /' "$tmp/refs" "$tmp/lost"
cat "$tmp/lost" >>"$tmp/tips"
sed 's/^/tip /' "$tmp/tips"
[ -s "$tmp/tips" ] || exit 0
{ sed 's/ .*//' "$tmp/tips"; cat "$tmp/not"; } >"$tmp/revs"
first=$(r rev-list --objects --max-count=1 --stdin <"$tmp/revs") || problem
[ -n "$first" ] || exit 0
r rev-list --boundary --stdin <"$tmp/revs" >"$tmp/boundary" || problem
sed -n 's/^-/boundary -/p' "$tmp/boundary"
r pack-objects --revs --stdout --quiet --delta-base-offset <"$tmp/revs" >"$tmp/pack" || problem
echo pack
cat "$tmp/pack"
