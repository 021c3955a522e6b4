"""Codestreams: a plane or a colour grid <-> bytes (docs/format.md, "Codestreams")."""
