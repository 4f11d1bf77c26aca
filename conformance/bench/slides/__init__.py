"""`todoke bench slide`: a slide over a long line, until it is seen and until it is there."""
