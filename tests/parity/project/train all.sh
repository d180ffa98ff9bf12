python show.py from-train.sh "$@"
