# Fills the tree $1 from the bundle $2 with a repository in it: $3 the commit, $4 the branch
# or "", $5 the object format, $6 what the tree is to hold before: empty (what an image has
# there is moved aside), kept (that stays) or clone (it goes over one); then commits without
# parents.
root=$1 bundle=$2 commit=$3 branch=$4 format=$5 before=$6
shift 6
mkdir -p -- "$root" && cd -- "$root" || exit 1
said=$(mktemp /tmp/.glue-XXXXXXXXXX) || exit 1
filled=
finish() {
  rm -f -- "$said"
  [ -n "$filled" ] || empty_out
}
if [ "$before" = empty ]; then
  aside=
  for f in * .[!.]* ..?*; do
    there "$f" || continue
    if [ -z "$aside" ]; then
      aside=$(mktemp -d "$root.image-XXXXXXXXXX" 2>"$said") || { filled=no; rm -f "$said"; no conflict "the sandbox's image has files in the workspace folder, which cannot be moved aside"; }
    fi
    mv -- "./$f" "$aside/" 2>"$said" || { why=$(tail -n 1 "$said"); rm -f "$said"; no conflict "the sandbox's image has files in the workspace folder, which cannot be moved aside: $why"; }
  done
fi
trap finish EXIT
bad() { no invalidParams "the bundle cannot be used: $1$(tail -n 1 "$said" | tr '\n' ' ')"; }
if [ "$before" != clone ]; then
  if [ "$format" = sha1 ]; then g init --quiet --template= 2>"$said"
  else g init --quiet --template= --object-format="$format" 2>"$said"
  fi || no unavailable "$(tail -n 1 "$said")"
fi
mkdir -p .git/info || exit 1
printf '%s\n' '* -text !eol -ident -filter !working-tree-encoding' >.git/info/attributes || exit 1
printf '[user]\n\tname = glue sandbox\n\temail = sandbox@glue.invalid\n' >>.git/config || exit 1
[ $# = 0 ] || printf '%s\n' "$@" >>.git/shallow
g bundle unbundle "$bundle" >/dev/null 2>"$said" || bad ""
g rev-parse --quiet --verify "$commit^{commit}" >/dev/null 2>"$said" || bad "the commit $commit is not in it "
if [ -n "$branch" ]; then
  g update-ref "refs/heads/$branch" "$commit" 2>"$said" || no unavailable "$(tail -n 1 "$said")"
  printf 'ref: refs/heads/%s\n' "$branch" >.git/HEAD
else
  printf '%s\n' "$commit" >.git/HEAD
fi
g bundle list-heads "$bundle" | while read -r id name; do
  case $name in refs/tags/*) g update-ref "$name" "$id" 2>/dev/null ;; esac
done
g reset --hard --quiet "$commit" 2>"$said" || no unavailable "$(tail -n 1 "$said")"
# Of a clone only what HEAD reaches stays, and then nothing is cut off.
if [ "$before" = clone ] && g -c repack.writeBitmaps=false repack -a -d -q -n --window=0 2>/dev/null; then
  g prune --expire=now 2>/dev/null
  [ $# != 0 ] || rm -f .git/shallow
fi
filled=yes
