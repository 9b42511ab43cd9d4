"""How does a command read its options, start, fail and end? Needs nothing but Python itself."""
