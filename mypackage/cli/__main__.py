"""`python -m mypackage.cli`: for who copied the folder, and has no command `retrain`."""

from .main import main

if __name__ == "__main__":
    main(prog_name="retrain")
