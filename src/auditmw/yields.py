"""Tells from its source that a generator function yields more than once whatever happens, before it ever runs."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

NEVER: Final = float("inf")


class Paths(NamedTuple):
    """The fewest yields on the ways that fall through a block, and on the ways that return from inside it."""

    through: float = 0
    out: float = NEVER


def surely_yields_twice(function: Any) -> bool:
    """Whether every way through the function passes two yields; False where its source cannot be read."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return False
    definition = tree.body[0]
    if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    paths = _of_block(definition.body)
    return 1 < min(paths) < NEVER


def _of_block(statements: Iterable[ast.stmt]) -> Paths:
    through, out = 0.0, NEVER
    for statement in statements:
        inner = _of(statement)
        out = min(out, through + inner.out)
        through += inner.through
    return Paths(through, out)


def _of(statement: ast.stmt) -> Paths:
    match statement:
        case ast.Return():
            return Paths(NEVER, 0)
        case ast.Raise():
            return Paths(NEVER, NEVER)
        case ast.Expr(value=ast.Yield()) | ast.Assign(value=ast.Yield()) | ast.AnnAssign(value=ast.Yield()):
            return Paths(1)
        case ast.If():
            then, other = _of_block(statement.body), _of_block(statement.orelse)
            return Paths(min(then.through, other.through), min(then.out, other.out))
        case ast.With() | ast.AsyncWith():
            return _of_block(statement.body)
        case ast.Try():  # what handlers do is on no way that surely runs
            return _of_block([*statement.body, *statement.orelse, *statement.finalbody])
        case ast.For() | ast.AsyncFor() | ast.While() | ast.Match() | ast.TryStar():
            return Paths(0, 0)  # cannot be told
        case _:
            return Paths()
