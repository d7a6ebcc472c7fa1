"""The command `skae`: PCA and an autoencoder, compared on a table."""
