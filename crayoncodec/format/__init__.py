"""The .cray file: chunks, and what codes the planes and grids in them."""
