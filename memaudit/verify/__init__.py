"""Evidence: what a model makes of the captions that the scan ranked."""
