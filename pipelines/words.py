"""Wrong turns in words: a sentence that an administrator reads, and no traceback."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo

from journeyport.errors import ContractError, PermanentError, TransientError


class RefusedError(dg.Failure, DagsterUserCodeProcessError):
    """Ends a step with one sentence; it is not tried again.

    Dagster prints where in the program a failure was raised, before and after what it
    says. An error that it forwards from another process it prints as it came: this is
    a failure that counts as one of those.

    Args:
        sentence: what is wrong and what to do.
        metadata: more of it, for the result page.
    """

    def __init__(
        self, sentence: str, metadata: Mapping[str, dg.MetadataValue] | None = None
    ) -> None:
        Exception.__init__(self, sentence)
        said = dg.Failure(sentence, metadata, allow_retries=False)
        self.description = said.description
        self.metadata = said.metadata
        self.allow_retries = said.allow_retries
        self.user_code_process_error_infos = [
            SerializableErrorInfo(f"{sentence}\n", [], "Failure")
        ]


@contextmanager
def in_words() -> Iterator[None]:
    """Turn an error that a person must mend into one sentence."""
    try:
        yield
    except (PermanentError, ContractError) as error:
        raise RefusedError(str(error)) from None
    except TransientError as error:
        raise RefusedError(f"{error} Running it again later may be enough.") from None
