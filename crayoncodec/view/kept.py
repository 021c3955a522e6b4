"""What a server keeps in memory: the least recently used goes when there is too much."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Values of at most ``most`` bytes altogether; threads may share them."""

    def __init__(self, most: int, size: Callable[[Value], int]) -> None:
        """``size`` says how many bytes a value takes."""
        self.most = most
        self.total = 0
        self._size = size
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """None for what is not there, or not any more."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> Value:
        """The value; what alone is too large is not kept."""
        with self._lock:
            if key in self._values:
                self.total -= self._size(self._values.pop(key))
            if self._size(value) <= self.most:
                self._values[key] = value
                self.total += self._size(value)
            while self.total > self.most:
                self.total -= self._size(self._values.popitem(last=False)[1])
        return value

    def made(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What is there, or is made now; two threads that ask at once both make it."""
        found = self.get(key)
        return self.put(key, make()) if found is None else found
