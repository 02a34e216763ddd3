# SPDX-License-Identifier: Apache-2.0
"""Lines of figures: `figure NAME VALUE UNIT LIMIT ok|over`, as they are made; whether one is over its limit."""


class Figures:
    def __init__(self):
        self.over = False

    def add(self, name, value, unit, limit=None, at_least=False):
        """`limit` is the highest good value, or with `at_least` the lowest."""
        over = limit is not None and (value < limit if at_least else value > limit)
        self.over |= over
        print(f"figure {name} {value} {unit} {'-' if limit is None else limit} {'over' if over else 'ok'}", flush=True)
