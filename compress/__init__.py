"""Make large trained models small enough for phones, and prove it.

Importing this package imports nothing heavy; each command loads what it needs.
"""

__version__ = "0.1.0"
