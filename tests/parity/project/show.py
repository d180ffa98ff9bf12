"""Prints how it was called, for tests: arguments, working folder, variables; `stdin` and `exit=N` are obeyed."""

import json
import os
import sys

arguments = sys.argv[1:]
folder = os.path.relpath(os.getcwd(), os.path.dirname(os.path.abspath(__file__)))
variables = {name: value for name, value in sorted(os.environ.items()) if name.startswith("CASE_")}
seen = [arguments, folder, variables, *([sys.stdin.read()] if "stdin" in arguments else [])]
sys.stdout.write(f"SHOW {json.dumps(seen)}\n")
sys.stdout.flush()
sys.exit(next((int(each[5:]) for each in arguments if each.startswith("exit=")), 0))
