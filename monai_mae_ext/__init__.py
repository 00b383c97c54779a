"""Masked-autoencoder self pre-training for medical images, as MONAI bundles: the parts that MONAI lacks."""

__version__ = "0.1.0"
