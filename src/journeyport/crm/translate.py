"""The library's errors as ours, without the values that Salesforce quotes in them."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceError,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

from journeyport.errors import (
    AccessError,
    JourneyportError,
    PermanentError,
    QuotaError,
    TransientError,
)


@contextmanager
def translated(
    what: str, *, passing: tuple[type[SalesforceError], ...] = ()
) -> Iterator[None]:
    """Turn the library's errors into ours, without the values they carry.

    Args:
        what: what is being done, for the sentence.
        passing: errors that the caller knows the meaning of.
    """
    try:
        yield
    except passing:
        raise
    except SalesforceAuthenticationFailed as error:
        raise AccessError(
            f"Salesforce refused the sign-in ({error.code}); check domain, consumer "
            "key and secret, and that the connected app has its run-as user."
        ) from None
    except SalesforceExpiredSession:
        raise AccessError(
            f"Salesforce refused the session while {what}, even a new one; check that "
            "the integration user is active and may use the API."
        ) from None
    except SalesforceRefusedRequest as error:
        raise _refused(first_error(error)[0], what) from None
    except (SalesforceMalformedRequest, SalesforceResourceNotFound) as error:
        # The library's own text holds the address, and a query's holds its values.
        raise PermanentError(
            f"Salesforce does not take the request ({first_error(error)[0]}) while "
            f"{what}; run `journeyport crm check`."
        ) from None
    except SalesforceError as error:
        code = first_error(error)[0]
        raise TransientError(
            f"Salesforce answered {error.status} {code} while {what}; try again later."
        ) from None
    except requests.exceptions.InvalidSchema:
        raise PermanentError(
            "A Salesforce address is plain http; only loopback may be."
        ) from None
    except requests.RequestException as error:
        raise TransientError(
            f"Salesforce cannot be reached while {what} ({type(error).__name__}); "
            "check network, proxy and base URL, and try again."
        ) from None


def _refused(code: str, what: str) -> JourneyportError:
    if code == "REQUEST_LIMIT_EXCEEDED":
        return QuotaError(
            f"The org's API calls of the last 24 hours are used up (while {what}); "
            "go on with the same plan when there are calls again."
        )
    return AccessError(
        f"Salesforce refused {what} ({code}); give the integration user the "
        "permission set that `journeyport crm scaffold` writes."
    )


def first_error(error: SalesforceError) -> tuple[str, str]:
    """Code and message of an error; the message may hold values."""
    content = error.content
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return str(content[0].get("errorCode", "")), str(content[0].get("message", ""))
    return "", ""
