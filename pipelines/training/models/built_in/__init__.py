"""The built-in models: each module here is one, with a function of its own name and its options."""
