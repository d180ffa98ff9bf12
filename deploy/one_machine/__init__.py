"""The whole service on one machine: `make up`, `make demo`, their servers and their backup."""
