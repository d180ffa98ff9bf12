"""What our code uses of detectron2, which has no package to install, in small.

Its names, its order of hooks and what it refuses are detectron2's. Its model is not: it learns the mean box of each
class, without a look at any image, and its AP is the mean overlap in percent.
"""

__version__ = "0.6"
