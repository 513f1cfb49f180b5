"""What a user must be told."""


class Failure(Exception):
    """Something that the user can mend, in one line or two."""
