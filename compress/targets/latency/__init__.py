"""From what an emulated core executes to milliseconds on a phone."""
