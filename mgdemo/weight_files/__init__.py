"""Weight files: what is in them, which network they belong to, and how they get into it."""
