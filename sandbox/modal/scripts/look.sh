# What there is to work with, in words; then the environment of a command.
mkdir -p "$1" "$2" 2>/dev/null
has() { command -v "$1" >/dev/null 2>&1; }
has bash && echo bash
has git && git --version >/dev/null 2>&1 && echo git
[ "$(find / -maxdepth 0 -printf '%y%i%T@%p\0' 2>/dev/null | tr -d '\0' | cut -c1)" = d ] && echo find
case $(stat -c %.9Y / 2>/dev/null) in *[0-9].[0-9]*) echo stat ;; esac
if has sha1sum && has sha256sum; then echo hash=sum; elif has git; then echo hash=git; fi
has tar && echo tar
printf '\0'
env -0 2>/dev/null || env | tr '\n' '\0'
