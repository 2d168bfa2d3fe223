"""Hospital information systems (HIS)."""
