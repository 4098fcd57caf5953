"""Landing: files delivered to a folder the way a source would have delivered them."""
