"""The collector at the Sở: stores the tallies of all hospitals, compares and shows them."""

from contract import extras


def main() -> None:
    """The command nhipso-collector."""
    extras.run("collector")
