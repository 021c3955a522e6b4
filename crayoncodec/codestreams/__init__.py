"""Codestreams: a plane or a colour grid <-> bytes (docs/format.md, sections 4 to 6)."""
