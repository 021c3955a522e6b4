"""``cray view``: pictures in the browser, from a server on this machine."""
