"""memaudit audits caption datasets for the repetition that text-to-image models memorise."""

__version__ = "0.1.0"
