"""Evidence: what a model does with the prompts of an audit. Torch and diffusers are imported only below."""
