"""The errors of the export, as one tree.

    JourneyportError
    ├── TransientError            may pass by itself: try again later
    │   ├── QuotaError            the source's request budget is used up
    │   └── LeaseError            another run holds what this one needs
    ├── PermanentError            somebody must do something first
    │   ├── SettingsError         a setting is missing or wrong (exit code 2)
    │   ├── ArgumentError         what was asked for makes no sense (exit code 2)
    │   ├── AccessError           the source or a target refuses this user
    │   ├── NotProvedError        an account-day could not be proved complete
    │   └── StaleError            what was planned no longer holds
    └── ContractError             the other side broke what the work rests on

Each message is one sentence that names the thing and the remedy. No message holds
a secret or a personal value. What to do with an error (exit codes, retries) is not
decided here.
"""


class JourneyportError(Exception):
    """Whatever journeyport itself raises."""


class TransientError(JourneyportError):
    """It may pass by itself; the same call can be made again later."""


class QuotaError(TransientError):
    """The request budget, theirs or ours, is used up for now."""


class LeaseError(TransientError):
    """Another run holds the account-day or the CRM object."""


class PermanentError(JourneyportError):
    """Trying again changes nothing; the message says who must do what."""


class SettingsError(PermanentError):
    """A setting is missing, unreadable or contradicts another."""


class ArgumentError(PermanentError):
    """An argument of a command or a call makes no sense."""


class AccessError(PermanentError):
    """Signed in, but not allowed; or not able to sign in at all."""


class NotProvedError(PermanentError):
    """An account-day could not be proved complete and is held back."""


class StaleError(PermanentError):
    """What was planned or approved no longer matches what is there."""


class ContractError(JourneyportError):
    """An answer broke an assumption that a claim rests on."""
