"""Electronic medical records (EMR)."""
