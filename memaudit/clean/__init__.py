"""The cleaned dataset: which rows go, and copies of the original files without them."""
