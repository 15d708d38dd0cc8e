"""Every error that rcl raises on purpose, stdlib only.

RclError
├── ServiceError            an API error: `code` is the AWS name, it leaves as JSON or as exit code 254
│   ├── ValidationError     a request that breaks the model (pattern, length, range, enum, required)
│   ├── SerializationError  a request that is not the JSON it should be
│   ├── InvalidParameter, InvalidS3Object, InvalidImageFormat, ImageTooLarge
│   ├── ResourceNotFound, ResourceInUse, ResourceAlreadyExists, ResourceNotReady
│   ├── InvalidPaginationToken, LimitExceeded, ServiceQuotaExceeded
│   ├── InvalidPolicyRevisionId, MalformedPolicyDocument
│   ├── AccessDenied, UnknownOperation
│   ├── RemoteError         what another service answered
│   └── InternalServerError, ThrottlingError, ProvisionedThroughputExceeded
├── UsageError              a command line that can't be understood (exit code 252)
├── ConfigError, NoCredentials  config.yaml, an environment variable or a folder that can't be used (exit code 253)
├── RegionError, ProfileError  exit code 255, as for everything else
└── TrainingFailed          ends a training with a message for StatusMessage
"""

from __future__ import annotations


class RclError(Exception):
    """Base of all errors that carry a message for the user."""


class ServiceError(RclError):
    """An error that the mirrored API knows.

    Args:
        message: one sentence for the user: what is wrong and, where rcl can tell, what to do.
    """

    code = "InternalServerError"
    http_status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ValidationError(ServiceError):
    code = "ValidationException"


class SerializationError(ServiceError):
    """A member of the wrong JSON type."""

    code = "SerializationException"


class InvalidParameter(ServiceError):
    code = "InvalidParameterException"


class InvalidS3Object(ServiceError):
    code = "InvalidS3ObjectException"


class InvalidImageFormat(ServiceError):
    code = "InvalidImageFormatException"


class ImageTooLarge(ServiceError):
    code = "ImageTooLargeException"


class ResourceNotFound(ServiceError):
    code = "ResourceNotFoundException"


class ResourceInUse(ServiceError):
    code = "ResourceInUseException"


class ResourceAlreadyExists(ServiceError):
    code = "ResourceAlreadyExistsException"


class ResourceNotReady(ServiceError):
    code = "ResourceNotReadyException"


class InvalidPaginationToken(ServiceError):
    code = "InvalidPaginationTokenException"


class LimitExceeded(ServiceError):
    code = "LimitExceededException"


class ServiceQuotaExceeded(ServiceError):
    code = "ServiceQuotaExceededException"


class InvalidPolicyRevisionId(ServiceError):
    code = "InvalidPolicyRevisionIdException"


class MalformedPolicyDocument(ServiceError):
    code = "MalformedPolicyDocumentException"


class AccessDenied(ServiceError):
    code = "AccessDeniedException"


class UnknownOperation(ServiceError):
    """No such operation."""

    code = "UnknownOperationException"


class ProvisionedThroughputExceeded(ServiceError):
    code = "ProvisionedThroughputExceededException"


class InternalServerError(ServiceError):
    code = "InternalServerError"
    http_status = 500


class ThrottlingError(ServiceError):
    code = "ThrottlingException"
    http_status = 500


class RemoteError(ServiceError):
    """What another service answered, whatever its code.

    Args:
        retries: how often it was asked again, None if that would have been no use.
    """

    def __init__(self, code: str, message: str, retries: int | None = None) -> None:
        super().__init__(message)
        self.code, self.retries = code, retries


def _leaves(root: type[ServiceError]) -> dict[str, type[ServiceError]]:
    # A remote error has whatever code the other service gave.
    return {cls.code: cls for cls in root.__subclasses__() if "code" in vars(cls)}


def service_error(code: str, message: str) -> ServiceError:
    """The typed error for an AWS error code, for codes that arrive over a wire."""
    return _leaves(ServiceError).get(code, InternalServerError)(message)


class UsageError(RclError):
    """A command line that can't be understood."""


class ConfigError(RclError):
    """Configuration or surroundings that rcl can't work with."""

    category = "Configuration"


class RegionError(RclError):
    """A region that is none; the aws CLI has no category for it."""


class ProfileError(RclError):
    """A profile of the AWS config that is not there, or leads nowhere."""


class NoCredentials(ConfigError):
    """A request has to be signed, and there is nothing to sign it with."""

    category = "NoCredentials"


class TrainingFailed(RclError):
    """Ends a training; the message becomes the version's StatusMessage."""
