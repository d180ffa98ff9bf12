"""What mypackage.dataset_utils uses of detectron2, which has no package to install: its catalogs and box modes."""
