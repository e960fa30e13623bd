"""From caption bytes to word hashes: `alphabet` says what a character is, `lexer` is the compiled road over Arrow
buffers, `reference` the same rules in plain Python."""
