"""The checkpoint ``crayon`` for crayoncodec: crayon.safetensors with its model card crayon.json."""
