"""The checkpoints that ship: <name>.safetensors, each with its model card <name>.json."""
