"""From a bundle's folder to what users download: checked without running it, packed, published, fetched."""

from monai_mae_ext.delivery.bundle_folder import Finding
from monai_mae_ext.delivery.carried_code import CarriedCode
from monai_mae_ext.delivery.download import download
from monai_mae_ext.delivery.lint import findings, lint
from monai_mae_ext.delivery.pack import pack

__all__ = ["CarriedCode", "Finding", "download", "findings", "lint", "pack"]
