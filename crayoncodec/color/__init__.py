"""Numbers: CIELAB, the geometry of colour grids, their levels, and what is interpolated or predicted."""
