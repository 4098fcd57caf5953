"""Privacy: what is kept of columns that hold personal data, and the keys of their pseudonyms."""
