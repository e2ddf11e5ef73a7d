"""What runs in a sandbox to start, signal and end commands: the SDK can do none of it
but the first. The scripts are for sh(1) of POSIX and the kernel's /proc, so that they
work with Debian's dash, Alpine's busybox and bash alike."""

from __future__ import annotations

import hashlib

# Starts a command in a session of its own. It says which session once the command can
# be signalled, and how the command ended once its output is complete, each in a line
# that begins with a word that nobody else knows. Names are long since a variable of
# the same name would reach the command changed.
#
# $1 the word, $2 how (t: a terminal, i: with input, f: arguments in a file), $3 the
# folder, $4 the terminal's size, $5 the mark that descendants carry; then the command.
_START = r"""
glue_word=$1 glue_how=$2 glue_dir=$3 glue_size=$4 glue_mark=$5
shift 5
glue_no() { printf '%s no %s\n' "$glue_word" "$1"; exit 0; }
case $glue_how in *f*)
  glue_code=$(cat "$1" && rm -f "$1" && echo .) || glue_no arguments
  eval "${glue_code%.}"
esac
if [ ! -d "$glue_dir" ]; then
  glue_up=$glue_dir
  while [ -n "$glue_up" ] && [ ! -e "$glue_up" ] && [ ! -L "$glue_up" ]; do glue_up=${glue_up%/*}; done
  if [ -z "$glue_up" ] || [ -d "$glue_up" ]; then glue_no cwdNotFound; fi
  glue_no cwdNotADirectory
fi
cd "$glue_dir" 2>/dev/null || glue_no cwdDenied
case $1 in
*/*)
  [ -e "$1" ] || glue_no fileNotFound
  if [ ! -f "$1" ] || [ ! -x "$1" ]; then glue_no permissionDenied; fi ;;
*)
  glue_up=
  set -f; IFS=:
  for glue_at in ${PATH:-/usr/local/bin:/usr/bin:/bin}; do
    glue_at=${glue_at:-.}/$1
    if [ -f "$glue_at" ] && [ -x "$glue_at" ]; then glue_up=$glue_at; break; fi
  done
  unset IFS; set +f
  [ -n "$glue_up" ] || glue_no fileNotFound
  case $1 in -*) shift; set -- "$glue_up" "$@" ;; esac ;;
esac
export GLUE_EXEC="$glue_mark"
case $glue_how in
*t*) [ -z "$glue_size" ] || stty $glue_size 2>/dev/null ;;
*i*) ;;
*) exec </dev/null ;;
esac
exec 3>&2 2>/dev/null
trap : HUP INT QUIT PIPE ALRM TERM USR1 USR2
( exec 2>&3 3>&-; printf '%s ok %s\n' "$glue_word" $$; exec "$@" )
glue_status=$?
printf '\036%s end %s\n' "$glue_word" $glue_status
case $glue_how in *t*) ;; *) printf '\036%s end %s\n' "$glue_word" $glue_status >&3 ;; esac
exit $glue_status
"""

# setsid forks where its caller leads a group, and the status would be lost; but whoever
# leads its group has a session of its own.
_IN_A_SESSION = r"""
glue_self=$1
shift
read -r _ _ _ _ glue_group _ </proc/$$/stat
if [ "$glue_group" != $$ ] && command -v setsid >/dev/null 2>&1; then
  exec setsid sh -c "$glue_self" sh "$@"
fi
eval "$glue_self"
"""

# The processes of a command: those of its session, those that carry its mark, and the
# descendants of either. $mark and $leader are set.
_OURS = r"""
LC_ALL=C
export LC_ALL
table() {
  for stat in /proc/[0-9]*/stat; do
    { read -r line <"$stat"; } 2>/dev/null || continue
    set -- ${line##*) }
    case $1 in Z|X) ;; *) echo "${line%% *} $2 $3 $4" ;; esac
  done
}
ours() {
  found=" "
  for environ in $(grep -l "GLUE_EXEC=$mark" /proc/[0-9]*/environ 2>/dev/null); do
    pid=${environ#/proc/}
    found="$found${pid%/environ} "
  done
  all=$(table)
  grown=yes
  while [ -n "$grown" ]; do
    grown=
    while read -r pid parent group session; do
      case $found in *" $pid "*) continue ;; esac
      if [ "$leader" != 0 ] && [ "$session" = "$leader" ]; then found="$found$pid " grown=yes; continue; fi
      case $found in *" $parent "*) found="$found$pid " grown=yes ;; esac
    done <<EOF
$all
EOF
  done
  # The wrapper ends by itself, and says how the command did.
  while read -r pid parent group session; do
    [ "$pid" = "$leader" ] && continue
    case $found in *" $pid "*) printf '%s ' "$pid" ;; esac
  done <<EOF
$all
EOF
}
"""

# TERM, then KILL after $3 twentieths of a second, until nothing is left; status 1 says
# that something is.
_END = (
    "mark=$1 leader=$2 grace=$3\n"
    + _OURS
    + r"""
round=0
while :; do
  list=$(ours)
  [ -n "$list" ] || break
  if [ $round = 0 ]; then kill -s TERM $list; kill -s CONT $list
  elif [ $round -ge "$grace" ]; then kill -s KILL $list; fi 2>/dev/null
  [ $round -lt 200 ] || exit 1
  round=$((round + 1))
  sleep 0.05 2>/dev/null || { sleep 1; round=$((round + 19)); }
done
[ "$leader" = 0 ] || kill -s CONT "$leader" 2>/dev/null
exit 0
"""
)

# One signal ($2) for the group of the session $1, and for its terminal's foreground
# group. Not for the wrapper, which would not live to tell.
_SIGNAL = r"""
leader=$1 name=$2
{ read -r line </proc/$leader/stat; } 2>/dev/null || exit 3
set -- ${line##*) }
front=$6
list=
for stat in /proc/[0-9]*/stat; do
  { read -r line <"$stat"; } 2>/dev/null || continue
  pid=${line%% *}
  set -- ${line##*) }
  [ "$pid" = "$leader" ] && continue
  if [ "$3" = "$leader" ] || [ "$3" = "$front" ]; then list="$list $pid"; fi
done
[ -n "$list" ] || exit 3
kill -s "$name" $list 2>/dev/null
"""

_RESIZE = r"""stty rows "$2" cols "$3" <"/proc/$1/fd/0" """

# The marks of everything that runs.
_MARKS = r"""cat /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep '^GLUE_EXEC=' | sort -u; exit 0"""

# Signals by their numbers on Linux, whatever system this program runs on.
_LIST = """HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU
URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"""
SIGNALS = {name: number for number, name in enumerate(_LIST.split(), start=1)}
NAMES = {number: f"SIG{name}" for name, number in SIGNALS.items()}

# Twentieths of a second between TERM and KILL.
GRACE = 40


def mark(ident: str) -> str:
    """What the processes of a command carry in their environment."""
    return hashlib.sha256(ident.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def start(word: str, how: str, cwd: str, size: str, ident: str, argv: list[str]) -> list[str]:
    """The command line that starts a command, see `_START`."""
    return ["sh", "-c", _IN_A_SESSION, "sh", _START, word, how, cwd, size, mark(ident), *argv]


def end(ident: str, leader: int) -> list[str]:
    """The command line that ends all of a command; a leader of 0 is not known."""
    return ["sh", "-c", _END, "sh", mark(ident), str(leader), str(GRACE)]


def signal(leader: int, name: str) -> list[str]:
    """The command line that signals a command."""
    return ["sh", "-c", _SIGNAL, "sh", str(leader), name]


def resize(leader: int, rows: int, cols: int) -> list[str]:
    """The command line that tells a terminal its size."""
    return ["sh", "-c", _RESIZE, "sh", str(leader), str(rows), str(cols)]


def marks() -> list[str]:
    """The command line that lists the marks of what runs."""
    return ["sh", "-c", _MARKS]


def quote(value: bytes) -> bytes:
    """A word of a shell's script that stands for these bytes."""
    return b"'" + value.replace(b"'", b"'\\''") + b"'"


def arguments(argv: list[bytes], env: dict[bytes, bytes]) -> bytes:
    """A script that sets arguments and environment, for what a call cannot carry."""
    lines = [b"export " + name + b"=" + quote(value) for name, value in env.items()]
    lines.append(b"set -- " + b" ".join(map(quote, argv)))
    return b"\n".join(lines) + b"\n"
