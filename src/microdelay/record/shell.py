"""What a shell is asked to run: the simple commands of its text, as far as they can be told without running it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

SHELLS = frozenset({"ash", "bash", "busybox", "dash", "ksh", "mksh", "sh", "zsh"})

MAX_TEXT_BYTES = 1 << 16
"""Of a shell script that are looked at."""

_BEFORE = frozenset({
    "!", "builtin", "chronic", "command", "do", "elif", "else", "env", "exec", "if", "ionice", "nice", "nohup",
    "setsid", "stdbuf", "sudo", "then", "time", "timeout", "until", "while", "xargs", "{",
})  # fmt: skip
"""Words after which another command stands, behind options and numbers of their own."""

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_MEASURE = re.compile(r"[\d.]+[smhd]?")
_BREAKS = ";&|()<>\n"


def text_of(shell: str, arguments: Sequence[str]) -> str | None:
    """Give what a shell runs that is started with these arguments (its own name first); None where it is no shell."""
    if os.path.basename(shell) not in SHELLS:
        return None
    left = iter(arguments[1:])
    for argument in left:
        if argument.startswith("-") and not argument.startswith("--") and "c" in argument:
            return next(left, "")
        if not argument.startswith(("-", "+")):
            return script(argument)
    return None


def script(path: str) -> str | None:
    """Give the text of a script, None where it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as opened:
            return (opened.read(MAX_TEXT_BYTES) or b"").decode("utf-8", "replace")
    except (OSError, ValueError):
        return None


def simple_commands(text: str) -> Iterator[list[str]]:
    """Give the words of each command in a shell's text, without assignments and words such as `exec` before it."""
    from shlex import shlex  # only who starts shells needs it

    lexer = shlex(text, posix=True, punctuation_chars=_BREAKS)
    lexer.whitespace = " \t\r"
    lexer.commenters = "#"
    words: list[str] = []
    try:
        for word in lexer:
            if word[0] not in _BREAKS:
                words.append(word)
                continue
            yield from stripped(words)
            words = []
    except ValueError:
        return  # a quotation without an end
    yield from stripped(words)


def stripped(words: list[str]) -> Iterator[list[str]]:
    """Give the command behind assignments and words such as `exec`; nothing where there is none."""
    is_behind = False
    for index, word in enumerate(words):
        if word in _BEFORE:
            is_behind = True
            if word == "command" and words[index + 1 : index + 2] in (["-v"], ["-V"]):
                return
        elif not (_ASSIGNMENT.match(word) or (is_behind and (word[:1] == "-" or _MEASURE.fullmatch(word)))):
            yield words[index:]
            return
