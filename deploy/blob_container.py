"""Creates the blob container that ARTIFACTS_DESTINATION (wasbs://CONTAINER@…) names, if it does not exist yet."""

import sys
from contextlib import suppress
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient

from shared.errors import ConfigurationError
from shared.settings import Settings


def main() -> int:
    """Make it."""
    try:
        settings = Settings.load()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    name = urlsplit(settings.artifacts_destination).username
    if name is None:
        sys.stderr.write("ARTIFACTS_DESTINATION names no container: wasbs://CONTAINER@ACCOUNT.blob.core.windows.net\n")
        return 1
    secret = settings.azure_storage_connection_string.get_secret_value()
    with BlobServiceClient.from_connection_string(secret) as service, suppress(ResourceExistsError):
        service.create_container(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
