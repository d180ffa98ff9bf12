"""What a training script uses under Automated Training. Needs MLflow only; works as a folder next to train.py too."""
