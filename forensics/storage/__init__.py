"""Bytes anywhere: a file of this machine, of a web server or of an object store behind one interface."""
