"""The base of all errors that are meant for people."""


class UserError(Exception):
    """What a user can put right: the message is a sentence that says what is wrong and the cure."""
