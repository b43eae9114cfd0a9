"""The list of whom nothing may be written about; looked at just before each write."""

from journeyport.clock import Clock
from journeyport.errors import ArgumentError
from journeyport.state import State
from journeyport.state import crm as memory


def suppress(
    state: State, subject: str, *, author: str, reason: str, clock: Clock
) -> None:
    """Put a customer or a CRM record on the list.

    Args:
        state: holds the list.
        subject: `ACCOUNT:customer-id`, the external id of a record, or a CRM record's
            id. A customer's engagements are kept back with it.
        author: who asked for it.
        reason: why.
        clock: the time.

    Raises:
        ArgumentError: one of them is empty.
    """
    if not (subject.strip() and author.strip() and reason.strip()):
        raise ArgumentError("A suppression needs a subject, an author and a reason.")
    memory.suppress(
        state, subject.strip(), author=author, reason=reason, at=clock.now()
    )


def unsuppress(state: State, subject: str) -> None:
    """Take an entry off the list.

    Raises:
        ArgumentError: it is not on it.
    """
    if not memory.unsuppress(state, subject.strip()):
        raise ArgumentError("The suppression list has no such entry.")


def suppressed(state: State) -> frozenset[str]:
    """Everything on the list."""
    return memory.suppressed(state)
