"""From lightness and colour grids to RGB, with a network or without one."""
