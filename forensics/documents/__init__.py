"""Files that hold other files: notebooks, pasted issues. One module a kind; each part is read as a file of its own."""
