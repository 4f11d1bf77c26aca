"""`todoke bench tiles`: random tiles of a slide over https, as fast as they come."""
