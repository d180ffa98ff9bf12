"""What a training script uses under Automated Training, and the service's client. Works as a copied folder, too."""
