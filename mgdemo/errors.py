"""The base of all errors that are meant for people, and the sentence for all others."""

WENT_WRONG = "Something went wrong on the server (see its log)."


class UserError(Exception):
    """What a user can put right: the message is a sentence that says what is wrong and the cure."""


def first_line(error: BaseException) -> str:
    """Of what an error says, without a period; its type if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
