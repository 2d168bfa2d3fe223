"""Ways to read source systems, one folder a family, one module a kind. Imported by the agent's reader only."""
