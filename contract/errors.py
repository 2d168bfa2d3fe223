"""Every error of nhipso, grouped by who acts next.

NhipsoError                     str(error) is fit to show a person, and never holds a secret or a cell
  ConfigError                   operator: edit the file named, start again (lists every problem at once)
  StorageError                  whoever runs this machine: make room, mend the disk; nothing is lost meanwhile
  SourceError
    SourceUnavailableError      nobody: the next poll tries again
    SourceDeniedError           hospital IT: grant the account, renew the secret
    SourceChangedError          adapter developer: the source no longer looks as expected
  PushError
    CollectorUnavailableError   nobody: the ledger keeps it
    CollectorDeniedError        operator: wrong token, or agent too old
  PortalError                   the caller: `status` on the class is the HTTP status
    BadRequestError  UnauthorisedError  ForbiddenError  NotFoundError  ConflictError  TooLargeError
    MalformedError  BusyError  AwayError
"""

from collections.abc import Iterable


class NhipsoError(Exception):
    """Something went wrong that a person can be told about, in Vietnamese."""


class ConfigError(NhipsoError):
    """A file the operator wrote cannot be used; `problems` holds one sentence for each mistake."""

    def __init__(self, problems: Iterable[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[list[str]]]:
        # Errors travel from the reader to the agent; without this the list would come back as one text.
        return type(self), (self.problems,)


class StorageError(NhipsoError):
    """This machine's disk did not take what had to be kept."""


class SourceError(NhipsoError):
    """A source system could not be read."""


class SourceUnavailableError(SourceError):
    """The source did not answer in time, or not at all; the next poll tries again."""


class SourceDeniedError(SourceError):
    """The source answered that this account may not read it."""


class SourceChangedError(SourceError):
    """The source answered, but not in the shape that the definition expects."""


class PushError(NhipsoError):
    """The collector did not take a push."""


class CollectorUnavailableError(PushError):
    """The collector was away or busy; `retry_after` is its own wish in seconds, if it said one."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class CollectorDeniedError(PushError):
    """The collector refused this agent as a whole."""


class PortalError(NhipsoError):
    """A request to the collector that is answered with an error."""

    status = 500


class BadRequestError(PortalError):
    """The request asks for something that does not exist in this form."""

    status = 400


class UnauthorisedError(PortalError):
    """No token, an unknown one, or a revoked one."""

    status = 401


class ForbiddenError(PortalError):
    """The caller is known, may see the thing, and may not do this with it."""

    status = 403


class NotFoundError(PortalError):
    """There is no such thing, or not for this caller."""

    status = 404


class ConflictError(PortalError):
    """What the caller wants to change is no longer, or not now, in the state for it."""

    status = 409


class TooLargeError(PortalError):
    """The body is over the limit, packed or unpacked."""

    status = 413


class MalformedError(PortalError):
    """The envelope is not of the agreed shape."""

    status = 422


class BusyError(PortalError):
    """Too much at once: come back after `retry_after` seconds."""

    status = 429
    retry_after = 5


class AwayError(PortalError):
    """The database is away: nothing was taken, come back after `retry_after` seconds."""

    status = 503
    retry_after = 15
