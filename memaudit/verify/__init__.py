"""Evidence from a model's own behaviour. `run` is the verification on one page; importing this loads nothing heavy."""
