"""What developers use and the package does not carry."""
