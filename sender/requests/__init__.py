"""Request information beside slides: CSV and JSON as hospitals write them."""
