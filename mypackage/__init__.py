"""What a training script uses under Automated Training, and the service's client and command line.

Works as a copied folder next to train.py, too.
"""
