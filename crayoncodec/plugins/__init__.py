"""Plugins for other libraries; each is imported only by those who want it."""
