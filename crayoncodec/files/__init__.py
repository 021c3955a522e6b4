"""The outside world: pictures in other formats, files, standard streams, processes that share out work."""
