"""What is made at its first use, so that a short analysis does not pay for what its files never ask for."""
