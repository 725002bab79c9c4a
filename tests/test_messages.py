"""Every message that reaches a user has the value, what was expected or the remedy, and is a sentence.

What they say of a case is for the tests of that case; here is what can be seen in the sources.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from napari_gifnet import errors

PACKAGE = Path(__file__).parents[1] / "src" / "napari_gifnet"

ERRORS = {name for name in vars(errors) if name.endswith("Error")} | {"FileError"}
NOTICES = {"warn", "show_error", "show_warning", "show_info"}

ACTIONS = (
    "add|align|ask|bring|call|check|choose|close|convert|copy|crop|decompress|draw|fetch|fuse|give|install|"
    "judge|leave|look|make|move|name|open|pass|pip|put|read|register|remove|rename|repeat|resample|save|say|"
    "scale|select|set|start|stack|take|tick|try|undo|use|wait|write"
)
REMEDY = re.compile(
    rf"\bexpect(ed|s)\b|((^|[:;,.]) |\band |\bor )({ACTIONS})\b|\bforce\b"
    rf"|^({ACTIONS})\b|{{(_NUMBERS|remedy|error)}}",
    re.IGNORECASE,
)
"""An expectation, what to do, or a message of another error that is passed on."""
VALUE = re.compile(
    r"{|^(--)?\w+=|^--\w|^(No|Nothing|There is (no|one|nothing)|Tick|Open|This figure)\b"
)
"""Something filled in, an option, or that nothing is there, where that is what is wrong."""

EXCEPTIONS = {
    "This figure is of two sources.": "caught where the figures are made: the widget leaves it out",
    "{step.name} was removed": "what is gone from the viewer cannot be moved back",
}
"""Messages without a remedy, by how they begin, and why that is right."""


class Message(NamedTuple):
    """A message as it stands in a source: `text` has {expression} for what is filled in."""

    place: str
    kind: str
    text: str


def texts_of(node: ast.expr) -> Iterator[str]:
    """The texts that an expression can be, of literals alone; nothing for what is passed on."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in node.values
        )
    elif isinstance(node, ast.IfExp):
        yield from texts_of(node.body)
        yield from texts_of(node.orelse)


def messages() -> Iterator[Message]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                kind = ast.unparse(node.func).rpartition(".")[2]
                if kind in ERRORS | NOTICES:
                    place = f"{path.relative_to(PACKAGE).as_posix()}:{node.lineno}"
                    for text in texts_of(node.args[0]):
                        yield Message(place, kind, text)


ALL = list(messages())
OF_ERRORS = [message for message in ALL if message.kind in ERRORS]


def test_the_messages_are_found():
    """Else the tests below would say nothing."""
    assert len(OF_ERRORS) > 250
    assert {message.kind for message in OF_ERRORS} >= {"ImageError", "OptionError", "FileError"}


@pytest.mark.parametrize("message", ALL, ids=lambda message: message.place)
def test_a_message_is_a_sentence(message):
    """It begins with a capital, a value or an option, and ends with a full stop."""
    assert re.match(r"[A-Z{]|--|\w+=", message.text), message.text
    assert re.search(r"[.}]$", message.text), message.text
    assert "  " not in message.text, message.text


@pytest.mark.parametrize("message", OF_ERRORS, ids=lambda message: message.place)
def test_a_message_names_the_value(message):
    """Where a package is missing, that is its name."""
    package = message.kind == "MissingDependencyError" and "pip install" in message.text
    assert package or VALUE.search(message.text), message.text


@pytest.mark.parametrize("message", OF_ERRORS, ids=lambda message: message.place)
def test_a_message_has_an_expectation_or_a_remedy(message):
    excepted = any(message.text.startswith(beginning) for beginning in EXCEPTIONS)
    assert excepted or REMEDY.search(message.text), message.text


def test_no_exception_is_left_over():
    for beginning in EXCEPTIONS:
        assert any(message.text.startswith(beginning) for message in OF_ERRORS), beginning


def test_what_cannot_be_read_is_named_with_what_to_do():
    said = errors.unreadable("a.tif", "Permission denied")
    assert (
        said == "a.tif cannot be read: Permission denied; check its name, and that you may read it."
    )
    assert REMEDY.search(said)
