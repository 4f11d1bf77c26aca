"""`todoke bench viewer`: how soon a reader sees an image, and how it moves under the hand."""
