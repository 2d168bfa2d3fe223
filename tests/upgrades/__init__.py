"""Databases of every schema that was ever released, brought to the current one (docs/operations.md, "Nâng cấp")."""
