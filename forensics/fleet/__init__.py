"""Every run under a root: found, analysed in parallel, one row each, grouped by what went wrong."""
