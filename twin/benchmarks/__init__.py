"""Speed and memory of the parts that must be fast, measured on this machine. One module per subject."""
