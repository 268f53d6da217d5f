"""What is asked where two readings of a file are possible, and how."""

from collections.abc import Callable
from dataclasses import dataclass

import typer

from analytics_assets.console.terminal import console, line


@dataclass(frozen=True)
class Question:
    """A choice that the files leave open.

    Attributes:
        about: what it decides; an option of the command of the same name answers it.
        sentence: the question, with what the files show.
        choices: the answers; any text if there are none.
        default: the answer of somebody who does not mind.
    """

    about: str
    sentence: str
    choices: tuple[str, ...]
    default: str


Ask = Callable[[Question], str]
"""Answers a question."""


def take_default(question: Question) -> str:
    """The default, and nothing is said."""
    return question.default


def say_default(question: Question) -> str:
    """The default, and that it was taken: nobody could be asked, or nobody wanted to be."""
    console.print(line(("taken: ", "yellow"), f"{question.sentence} {question.default or '(none)'}"))
    return question.default


def ask_on_terminal(question: Question) -> str:
    """Asks until the answer is one of the choices; Enter takes the default."""
    while True:
        shown = f" [{' / '.join(question.choices)}]" if question.choices else ""
        answer = str(typer.prompt(f"{question.sentence}{shown}", default=question.default)).strip()
        if not question.choices or answer in question.choices:
            return answer
        near = [one for one in question.choices if answer and one.startswith(answer)]
        if len(near) == 1:
            return near[0]
        typer.echo(f"  it is one of: {', '.join(question.choices)}")
