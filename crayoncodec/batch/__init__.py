"""Archives: folders of millions of pictures, converted by many processes or machines, and gone on with."""
