"""The script that opens and runs model files; it runs on every target, and imports nothing of this package."""
