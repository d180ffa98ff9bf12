"""A training in a package: `python -m pkg.train`."""

import runpy

runpy.run_path("show.py", run_name="__main__")
