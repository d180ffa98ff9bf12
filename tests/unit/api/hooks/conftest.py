"""An API on fakes, with a desk to send things to."""

import pytest

from shared.secrets.vault import Vault
from tests.fakes.store import MemoryStore
from tests.unit.api.hooks.senders import Desk
from tests.unit.conftest import MakeApp


@pytest.fixture
def desk(make_app: MakeApp, store: MemoryStore, vault: Vault) -> Desk:
    """The API has a token, which no sender of hooks knows."""
    return Desk(make_app(api_tokens="the-token").test_client(), store, vault)
