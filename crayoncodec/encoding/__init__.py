"""The encoder's search: a picture coded as often as it takes, and what that is measured by."""
