"""What box and headend both speak: formats, words, protocol cryptography."""
