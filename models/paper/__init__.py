"""The checkpoint ``paper`` for crayoncodec: paper.safetensors with its model card paper.json."""
