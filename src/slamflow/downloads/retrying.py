"""Failures that may pass are waited for; others are not."""

import email.utils
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import tenacity

from slamflow import logs

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # answers that may be others later
LONGEST = 60.0  # seconds between two tries, unless the server asks for more
LONGEST_ASKED = 3600.0  # seconds that a server may ask for; beyond, the stage ends

T = TypeVar("T")


class Passing(Exception):
    """A failure that may pass, and the seconds that the server asks to wait."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class Refused(Exception):
    """An answer that will stay the same, with its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Patience:
    """How often to try again, and for how long to wait before the first time; it doubles."""

    retries: int = 7
    wait: float = 1.0  # seconds
    stop: threading.Event = field(default_factory=threading.Event)  # ends all waiting

    def __call__(self, action: Callable[[], T]) -> T:
        """What `action` returns, sooner or later.

        Raises:
            Passing: it failed `retries` times more in the same way.
        """
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Passing),
            stop=tenacity.stop_after_attempt(self.retries + 1)
            | tenacity.stop_when_event_set(self.stop),
            wait=self._pause,
            sleep=tenacity.sleep_using_event(self.stop),
            before_sleep=_say,
            reraise=True,
        )(action)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        usual = min(LONGEST, self.wait * 2.0 ** (state.attempt_number - 1))
        return max(usual, getattr(_failure(state), "after", 0.0))


def refusal(status: int, reason: str, headers: Mapping[str, Any], who: str) -> Exception:
    """The exception that an HTTP answer other than success stands for.

    Returns:
        `Refused`, `Passing`, or a ValueError if the server asks to wait for too long.
    """
    message = f"{who} answered {status} {reason}".rstrip()
    if status not in PASSING:
        return Refused(message, status)
    after = _asked(headers)
    if after > LONGEST_ASKED:
        return ValueError(
            f"{message} and asks to wait for {after / 3600:.1f} hours; run again after that (it"
            " goes on where it was)"
        )
    return Passing(message, after)


def cause(error: BaseException) -> str:
    """The root of a chain of exceptions in a few words, without addresses that may be secret."""
    root: BaseException | None = error
    words = type(error).__name__
    while root is not None:
        if isinstance(root, OSError) and root.strerror:
            words = root.strerror
        root = root.__cause__ or root.__context__
    return words


def _asked(headers: Mapping[str, Any]) -> float:
    """Seconds that a server asks to wait for.

    Retry-After is a number or a date (RFC 9110, 10.2.3); the hub may send, instead, the end of its
    window in RateLimit (draft-ietf-httpapi-ratelimit-headers).
    """
    value = headers.get("Retry-After", "").strip()
    if not value and (window := re.search(r"\br=0;.*\bt=(\d+)", headers.get("RateLimit", ""))):
        value = window[1]
    try:
        if value.isdecimal():
            return float(value)
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def _failure(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _say(state: tenacity.RetryCallState) -> None:
    wait = state.next_action.sleep if state.next_action else 0
    logs.say(f"{_failure(state)}; trying again in {wait:.0f} s")
