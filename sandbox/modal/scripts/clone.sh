# Makes the root ($1, hash format $2) a repository that has what the first remote that
# gives something has: $3 is 1 if other files of the root stay, and then come an address,
# a commit and a ref (or "") for each remote. Says which address it was.
root=$1 format=$2 keep=$3
shift 3
command -v git >/dev/null 2>&1 || no unsupported "there is no git in the sandbox, so that it cannot fetch from a remote"
export GIT_ASKPASS= SSH_ASKPASS= # nobody is asked
mkdir -p -- "$root" || exit 1
if [ "$keep" = 1 ]; then rm -rf -- "$root/.git"
elif [ -n "$(ls -A -- "$root")" ]; then
  aside=$(mktemp -d "$root.image-XXXXXX") || exit 1
  for each in "$root"/* "$root"/.[!.]* "$root"/..?*; do
    ! there "$each" || mv -- "$each" "$aside/" || no conflict "the sandbox's image has files in the workspace folder, which cannot be moved aside"
  done
fi
cd -- "$root" || exit 1
if [ "$format" = sha1 ]; then g init --quiet --template= .
else g init --quiet --template= "--object-format=$format" .
fi || exit 1
fetch() {
  g -c protocol.allow=never -c protocol.http.allow=always -c protocol.https.allow=always -c protocol.version=2 \
    -c credential.helper= -c core.askPass= -c fetch.unpackLimit=1 -c http.lowSpeedLimit=1 -c http.lowSpeedTime=30 \
    fetch --quiet --no-tags --no-recurse-submodules "$@" 2>&1
  status=$?
  rm -f .git/FETCH_HEAD
  return $status
}
failed=
while [ $# -gt 0 ]; do
  url=$1 commit=$2 ref=$3
  shift 3
  if said=$(fetch --depth=1 -- "$url" "$commit"); then
    echo "$url"
    exit 0
  fi
  case $said in
  *"not our ref"* | *"unadvertised object"* | *"not allow request"* | *shallow*)
    if [ -n "$ref" ] && { said=$(fetch --depth=1 -- "$url" "$ref") || { [ "$said" != "${said#*shallow}" ] && said=$(fetch -- "$url" "$ref"); }; }; then
      echo "$url"
      exit 0
    fi
    ;;
  esac
  failed="$failed; fetching from $url in the sandbox failed: $(printf %s "$said" | tr '\n' ' ')"
done
rm -rf -- "$root/.git"
no unavailable "${failed#; }"
