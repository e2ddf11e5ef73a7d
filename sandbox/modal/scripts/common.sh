# What all scripts begin with. A refusal is the last line on standard error, and status 99.
LC_ALL=C
export LC_ALL
no() {
  printf '\nglue!%s!%s\n' "$1" "$2" >&2
  exit 99
}
there() { [ -e "$1" ] || [ -L "$1" ]; }
# Sets why to the reason for which there is nothing at $1.
why_absent() {
  why=fileNotFound up=${1%/*}
  while [ -n "$up" ]; do
    if there "$up"; then
      if [ ! -d "$up" ]; then why=notADirectory
      elif [ ! -x "$up" ]; then why=permissionDenied
      fi
      return
    fi
    up=${up%/*}
  done
}
absent() {
  why_absent "$1"
  no $why
}
folder() { [ -d "$1" ] && [ ! -L "$1" ]; }
# Puts $1 in the place of $2, which is no folder. Into a link to one it must not go.
place() {
  if [ -d "$2" ]; then
    mv -fT -- "$1" "$2" 2>/dev/null || { rm -f -- "$2" && mv -f -- "$1" "$2"; }
  else
    mv -f -- "$1" "$2"
  fi
}
# Refuses the workspace ($2), the folder that commands start in ($3), and what holds them.
guard() {
  [ -L "$1" ] && return
  for keep in "$2" "$3"; do
    while [ -n "$keep" ]; do
      [ "$1" -ef "$keep" ] && no unsupported "the workspace and what holds it stay where they are"
      keep=${keep%/*}
    done
  done
  [ "$1" -ef / ] && no unsupported "the workspace and what holds it stay where they are"
  return 0
}
# Succeeds if something is mounted at the folder $1 or in it: what a volume holds is nobody's
# to remove. Mount points stand in octal escapes there, see proc(5).
mounted() {
  [ -r /proc/self/mountinfo ] || return 1
  in=$(cd -P -- "$1" && pwd -P | sed 's/\\/\\134/g; s/ /\\040/g; s/	/\\011/g')
  while read -r _ _ _ _ at _; do
    case $at in "$in" | "$in"/*) return 0 ;; esac
  done </proc/self/mountinfo
  return 1
}
# Empties this folder after a failure.
empty_out() {
  for f in * .[!.]* ..?*; do
    there "$f" || continue
    folder "$f" && mounted "./$f" && continue
    rm -rf -- "./$f"
  done
}
