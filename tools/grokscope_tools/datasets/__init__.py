"""Where do the real data sets come from, and are they the right ones? Needs nothing but Python itself."""
