"""Write the dataset of this example, in one of its stages: few images at first, more of them later."""

import argparse
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 7


def main() -> None:
    """Write train.csv with so many images, and test.csv, which is the same every time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100)
    args = parser.parse_args()
    digits = load_digits(as_frame=True).frame.astype(int)
    train, test = train_test_split(digits, test_size=0.25, random_state=SEED, stratify=digits["target"])
    args.folder.mkdir(parents=True, exist_ok=True)
    train.head(args.images).to_csv(args.folder / "train.csv", index=False)
    test.to_csv(args.folder / "test.csv", index=False)
    print(f"{len(train.head(args.images))} images to train on, {len(test)} to test with")


if __name__ == "__main__":
    main()
