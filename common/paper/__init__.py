"""Documents on one A4 page: a record of a transfer, an acceptance, with an embedded font."""
