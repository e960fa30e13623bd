"""Repetition in caption streams: exact texts, near duplicates, caption templates, triggers. Works on hashes; reads no
file."""
