"""Years of weather made from published climate normals."""
