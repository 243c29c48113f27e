"""Queues between threads: a mailbox with a named policy, and an outbox that restores order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
MailboxPolicy = Literal["wait", "drop_oldest", "latest"]


class Closed(Exception):
    """The queue was aborted; whoever waits on it ends."""


class Mailbox(Generic[T]):
    """Bounded queue whose policy decides what a full box does to the next item.

    wait: the giver blocks, nothing is lost. drop_oldest: the oldest item leaves. latest: only the
    newest item is kept, whatever the capacity. Items leave in order, each with its ticket
    0, 1, 2 ... so that work on them can be put back in order.
    """

    def __init__(self, *, capacity: int, policy: MailboxPolicy) -> None:
        self._items: deque[T] = deque()
        self._capacity = 1 if policy == "latest" else capacity
        self._policy = policy
        self._changed = threading.Condition()
        self._next_ticket = 0
        self._finished = False
        self._aborted = False

    def put(self, item: T) -> int:
        """Adds an item; returns how many older ones it pushed out. Raises Closed after abort."""
        with self._changed:
            if self._policy == "wait":
                self._changed.wait_for(self._has_room)
            if self._aborted:
                raise Closed
            dropped = 0
            while len(self._items) >= self._capacity:
                self._items.popleft()
                dropped += 1
            self._items.append(item)
            self._changed.notify_all()
            return dropped

    def _has_room(self) -> bool:
        return self._aborted or len(self._items) < self._capacity

    def take(self) -> tuple[int, T] | None:
        """Returns the next (ticket, item), None once finished and empty. Raises Closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._finished or self._aborted)
            if self._aborted:
                raise Closed
            if not self._items:
                return None
            ticket = self._next_ticket
            self._next_ticket += 1
            item = self._items.popleft()
            self._changed.notify_all()
            return ticket, item

    def finish(self) -> None:
        """Says that nothing more will be put; what is inside is still taken."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def clear(self) -> int:
        """Throws away what is waiting; returns how many items that were."""
        with self._changed:
            number = len(self._items)
            self._items.clear()
            self._changed.notify_all()
            return number

    def abort(self) -> None:
        """Ends every waiting and later call with Closed."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()


class Turnstile:
    """Lets workers through one at a time, in ticket order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._next = 0
        self._aborted = False

    @contextmanager
    def turn(self, ticket: int) -> Iterator[None]:
        """Waits for every earlier ticket to leave, and lets the next one in afterwards.

        Raises Closed after abort.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._aborted or self._next == ticket)
            if self._aborted:
                raise Closed
        try:
            yield
        finally:
            with self._changed:
                self._next = ticket + 1
                self._changed.notify_all()

    def abort(self) -> None:
        """Ends every waiting and later ``turn`` with Closed."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()


class Outbox(Generic[T]):
    """Collects items by ticket from several threads and hands them out in ticket order.

    A giver whose ticket is ``capacity`` or more ahead of the next one handed out waits, so
    memory stays bounded when the taker is slow.
    """

    def __init__(self, *, capacity: int, givers: int) -> None:
        self._items: dict[int, T] = {}
        self._capacity = capacity
        self._givers = givers
        self._next = 0
        self._changed = threading.Condition()
        self._aborted = False

    def put(self, ticket: int, item: T) -> None:
        """Adds an item under its ticket. Raises Closed after abort."""
        with self._changed:
            self._changed.wait_for(lambda: self._aborted or ticket < self._next + self._capacity)
            if self._aborted:
                raise Closed
            self._items[ticket] = item
            self._changed.notify_all()

    def giver_left(self) -> None:
        """Says that one giver puts nothing more; after the last one the box is finished."""
        with self._changed:
            self._givers -= 1
            self._changed.notify_all()

    def take(self, timeout_s: float) -> T | None:
        """Returns the next item in order, or None after ``timeout_s`` seconds or at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._next in self._items or self.finished, timeout_s)
            if self._next not in self._items:
                return None
            item = self._items.pop(self._next)
            self._next += 1
            self._changed.notify_all()
            return item

    @property
    def finished(self) -> bool:
        """True once nothing can come any more."""
        return self._aborted or (self._givers == 0 and self._next not in self._items)

    def abort(self) -> None:
        """Ends every waiting and later ``put`` with Closed."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()
