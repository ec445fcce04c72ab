"""How far an input can be trusted."""

# Strongest first. A result is as trustworthy as its weakest input.
CONFIDENCES = ("published", "derived", "entered", "estimated", "assumed")
