"""Hostile inputs of every class, made in a temporary folder, and the commands run on each under watch."""
