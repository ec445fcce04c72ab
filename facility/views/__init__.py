"""Pages of the description: forms, lists of parts, bill of materials, catalogue."""
