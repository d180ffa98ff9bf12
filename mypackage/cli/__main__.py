"""`python -m mypackage.cli`, for users who copied the folder and have no command `retrain`."""

from .main import main

if __name__ == "__main__":
    main(prog_name="retrain")
