# Gives the git hashes of files, one a line, "-" where there is none: $1 the tree, $2 git or
# sum, $3 the object format; then their paths.
cd -- "$1" || exit 1
how=$2 format=$3
shift 3
if [ "$how" = git ]; then
  GIT_DIR=/tmp/.glue-hash-$format
  export GIT_DIR GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
  if [ "$format" = sha1 ]; then set -- -- "$@"; else set -- --object-format="$format" -- "$@"; fi
  init=
  while [ "$1" != -- ]; do init="$init $1"; shift; done
  shift
  [ -d "$GIT_DIR" ] || git init -q --bare --template= $init "$GIT_DIR" || exit 1
  printf './%s\n' "$@" | git hash-object --no-filters --stdin-paths 2>/dev/null
  exit 0
fi
for p do
  size=$(stat -c %s -- "./$p" 2>/dev/null) || { echo -; continue; }
  sum=$({ printf 'blob %s\0' "$size"; cat <"./$p"; } 2>/dev/null | "${format}sum")
  echo "${sum%% *}"
done
