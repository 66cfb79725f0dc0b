"""What makes the pages of the manual; not part of the package."""
