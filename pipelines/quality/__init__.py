"""Quality: rules on rows, what they found, and the refusal where a rule says `fail`."""
