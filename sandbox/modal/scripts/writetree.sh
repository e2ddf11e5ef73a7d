# Writes files of a tree: $1 the tree, $2 the file that holds all contents, "" for none, $3
# its size, $4 how to hash, git or sum, $5 the object format; then for each write eight
# words: its path, the mode and hash that are expected there, the mode and hash of what is
# new, its size, a name for the unfinished file, and where the content is: "" in turn in the
# one file, else a file of its own. For a link that word is its target. A mode of 0 is for
# nothing. The answer is a line for each: what became of it, and mode, hash and size of what
# is there.
cd -- "$1" || exit 1
payload=$2 how=$4 format=$5
if [ -n "$payload" ]; then
  [ "$(stat -c %s -- "$payload")" = "$3" ] || no unavailable "the contents did not arrive whole"
  exec 4<"$payload"
fi
shift 5
umask 022
if [ "$how" = git ]; then
  GIT_DIR=/tmp/.glue-hash-$format
  export GIT_DIR GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
  if [ ! -d "$GIT_DIR" ]; then
    if [ "$format" = sha1 ]; then git init -q --bare --template= "$GIT_DIR"
    else git init -q --bare --template= --object-format="$format" "$GIT_DIR"
    fi || exit 1
  fi
fi
hashed() {
  if [ "$how" = git ]; then git hash-object --no-filters --stdin
  else
    sum=$({ printf 'blob %s\0' "$1"; cat; } | "${format}sum")
    echo "${sum%% *}"
  fi
}
# Sets mode, hash and size to what is at $1.
look() {
  mode=0 hash=- size=0
  if [ -L "$1" ]; then
    mode=120000
    to=$(readlink -n -- "$1"; echo .)
    to=${to%.}
    size=${#to}
    hash=$(printf %s "$to" | hashed "$size")
  elif [ -f "$1" ]; then
    mode=100644
    case $(stat -c %A -- "$1") in -??x*|-??s*) mode=100755 ;; esac
    size=$(stat -c %s -- "$1")
    hash=$(hashed "$size" <"$1")
  elif [ -e "$1" ]; then mode=other
  fi
}
# Makes the folders above $1, going through no link.
above() {
  rest=$1 at=
  while :; do
    case $rest in */*) ;; *) return 0 ;; esac
    at=$at${rest%%/*}
    rest=${rest#*/}
    if [ -L "./$at" ]; then why=link; return 1; fi
    if [ ! -d "./$at" ]; then
      if [ -e "./$at" ]; then why=notADirectory; return 1; fi
      [ "$2" = 1 ] || { why=none; return 1; }
      mkdir "./$at" || { why=failed; return 1; }
    fi
    at=$at/
  done
}
# Puts the content of the write in hand into $1. One read takes all of it: it is a file.
take() {
  if [ -n "$from" ]; then mv -- "$from" "$1" && chmod 644 "$1"
  elif [ "$newsize" = 0 ]; then : >"$1"
  else dd bs="$newsize" count=1 <&4 >"$1" 2>/dev/null
  fi
}
# Goes by the content of a write that is not done.
pass() {
  [ -n "$waiting" ] || return 0
  if [ -n "$from" ]; then rm -f -- "$from"
  elif [ "$newsize" != 0 ]; then dd bs="$newsize" count=1 <&4 >/dev/null 2>&1
  fi
}
said() { echo "$1 $mode $hash $size"; }
while [ $# -gt 0 ]; do
  path=./$1 expect=$2 expected=$3 new=$4 newhash=$5 newsize=$6 tmp=$7 from=$8
  name=$1
  shift 8
  case $path in */*/*) tmp=${path%/*}/$tmp ;; *) tmp=./$tmp ;; esac
  waiting=
  if [ "$new" = 100644 ] || [ "$new" = 100755 ]; then waiting=1; fi
  mode=0 hash=- size=0
  make=1
  [ "$new" != 0 ] || make=0
  if ! above "$name" "$make"; then
    pass
    if [ "$why" = none ] && [ "$expect" = 0 ]; then said written
    elif [ "$why" = none ]; then said changed
    else said "$why"
    fi
    continue
  fi
  look "$path"
  if [ "$mode" = "$new" ] && { [ "$new" = 0 ] || [ "$hash" = "$newhash" ]; }; then
    pass
    said written
    continue
  fi
  if [ "$mode" != "$expect" ] || { [ "$mode" != 0 ] && [ "$hash" != "$expected" ]; }; then
    pass
    [ "$mode" != other ] || { mode=0; said other; continue; }
    said changed
    continue
  fi
  case $new in
  0)
    rm -f -- "$path" 2>/dev/null
    if there "$path"; then said failed; continue; fi
    dir=${name%/*}
    while [ "$dir" != "$name" ] && rmdir "./$dir" 2>/dev/null; do
      name=$dir
      dir=${name%/*}
    done
    ;;
  120000)
    ln -s -- "$from" "$tmp" && mv -f -- "$tmp" "$path" || { rm -f -- "$tmp"; said failed; continue; }
    ;;
  *)
    take "$tmp" && { [ "$new" = 100644 ] || chmod 755 "$tmp"; } && mv -f -- "$tmp" "$path" || { rm -f -- "$tmp"; said failed; continue; }
    ;;
  esac
  mode=$new hash=$newhash size=$newsize
  said written
done 2>/dev/null
[ -z "$payload" ] || rm -f -- "$payload"
echo end
