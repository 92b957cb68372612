# SPDX-License-Identifier: Apache-2.0
"""As much of a C parser as it takes to count the parameters of a function and how deep its blocks nest."""
import re

import tree

TOKEN = re.compile(r"[A-Za-z_]\w*|[0-9][\w.]*|\"[^\"\n]*\"|'[^'\n]*'|\S")
CONTROL = {"if", "for", "while", "switch"}
PAIRS = {"(": ")", "{": "}", "[": "]"}


class Function:
    def __init__(self, name, line, parameters, nesting):
        self.name, self.line, self.parameters, self.nesting = name, line, parameters, nesting


class Reader:
    """Walks the tokens of one file; every method leaves `at` behind what it read."""

    def __init__(self, text):
        text = tree.without_comments(text)
        text = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: re.sub(r"[^\n]", " ", m.group()), text,
                      flags=re.M)
        self.tokens = [(m.group(), m.start()) for m in TOKEN.finditer(text)]
        self.text, self.at, self.deepest = text, 0, 0

    def peek(self, ahead=0):
        index = self.at + ahead
        return self.tokens[index][0] if index < len(self.tokens) else ""

    def balanced(self):
        """Past the bracket at `at` and all up to its partner."""
        closing, depth = [], 0
        while self.at < len(self.tokens):
            token = self.peek()
            self.at += 1
            if token in PAIRS:
                closing.append(PAIRS[token])
            elif closing and token == closing[-1]:
                closing.pop()
            if not closing:
                return
            depth += 1

    def statement(self, depth):
        self.deepest = max(self.deepest, depth)
        token = self.peek()
        if token == "{":
            self.block(depth)
        elif token in CONTROL or self.is_loop_macro():
            self.control(depth)
        elif token == "do":
            self.at += 1
            self.statement(depth + 1)
            self.simple()
        elif token in ("case", "default") or (self.peek(1) == ":" and re.match(r"[A-Za-z_]", token)):
            self.label()
        else:
            self.simple()

    def is_loop_macro(self):
        if not re.match(r"[A-Za-z_]", self.peek()) or self.peek(1) != "(" or self.peek() in ("return", "sizeof"):
            return False
        start = self.at
        self.at += 1
        self.balanced()
        following, self.at = self.peek(), start
        return following == "{"

    def control(self, depth):
        is_if = self.peek() == "if"
        self.at += 1
        self.balanced()
        self.statement(depth + 1)
        if is_if and self.peek() == "else":
            self.at += 1
            self.statement(depth if self.peek() == "if" else depth + 1)

    def label(self):
        while self.at < len(self.tokens) and self.peek() != ":":
            self.at += 1
        self.at += 1

    def simple(self):
        while self.at < len(self.tokens) and self.peek() != ";":
            if self.peek() == "}":
                return
            if self.peek() in PAIRS:
                self.balanced()
            else:
                self.at += 1
        self.at += 1

    def block(self, depth):
        self.at += 1
        while self.at < len(self.tokens) and self.peek() != "}":
            before = self.at
            self.statement(depth)
            if self.at == before:
                self.at += 1
        self.at += 1


def count_parameters(tokens):
    """Of the tokens between the parentheses of a declarator."""
    depth, count = 0, 1
    for token in tokens:
        depth += (token in PAIRS) - (token in PAIRS.values())
        count += token == "," and depth == 0
    return 0 if tokens in ([], ["void"]) else count


def functions(text):
    """The functions that a file defines or declares."""
    reader, found = Reader(text), []
    while reader.at < len(reader.tokens):
        token, start = reader.tokens[reader.at]
        if token in ("{", "["):
            reader.balanced()
            continue
        if token != "(":
            reader.at += 1
            continue
        name, first = reader.peek(-1), reader.at + 1
        reader.balanced()
        inside = [t for t, _ in reader.tokens[first:reader.at - 1]]
        if not re.match(r"[A-Za-z_]\w*$", name) or reader.peek() not in (";", "{", "__attribute__"):
            continue
        reader.deepest = 0
        if reader.peek() == "{":
            reader.block(0)
        found.append(Function(name, tree.line_of(reader.text, start), count_parameters(inside), reader.deepest))
    return found
