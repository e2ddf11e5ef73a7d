# Tells which of the objects on standard input the repository in $1 has: their ids, and of
# those that it lacks "<id> missing".
cd -- "$1" || exit 1
g cat-file --buffer '--batch-check=%(objectname)'
