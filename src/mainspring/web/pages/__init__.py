"""One page a file: from what a `Source` reads to a `Page`."""
