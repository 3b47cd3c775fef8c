"""A path to its artifacts: folders walked, archives unpacked, stores listed."""
