"""The collector at the Sở: stores the tallies of all hospitals, compares and shows them."""
