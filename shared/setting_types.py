"""Types of settings that are lists: words with commas between them, and limits by key."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from shared.addresses.server_addresses import listen_address, public_address, redis_address, tracking_address


def split_words(value: Any) -> Any:
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def networks(value: Any) -> Any:
    """Take addresses and networks apart; raise ValueError that says how to write one."""
    if not isinstance(value, str):
        return value
    return [_network(word) for word in split_words(value)]


def _network(word: str) -> IPv4Network | IPv6Network:
    try:
        meant = ip_network(word, strict=False)
    except ValueError:
        raise ValueError(
            f"must be addresses and networks, comma separated, such as 127.0.0.1,10.1.2.0/24; {word} is neither"
        ) from None
    if "/" in word and str(meant.network_address) != str(ip_network(word.partition("/")[0]).network_address):
        raise ValueError(f"has {word}, which is an address in a network; write {meant} for the network")
    return meant


def key_limits(value: Any) -> Any:
    """Take pattern=number pairs apart; a key may hold a "=" itself, so the last one counts."""
    if not isinstance(value, str):
        return value
    pairs = [word.strip().rpartition("=") for word in value.split(",") if word.strip()]
    if any(not pattern or not number.strip().isdecimal() or int(number) < 1 for pattern, _, number in pairs):
        raise ValueError("must be pattern=number, comma separated, such as experiment:*=4")
    return tuple((pattern.strip(), int(number)) for pattern, _, number in pairs)


Words = Annotated[frozenset[str], NoDecode, BeforeValidator(split_words)]
Networks = Annotated[frozenset[IPv4Network | IPv6Network], NoDecode, BeforeValidator(networks)]
Networks4 = Annotated[frozenset[IPv4Network], NoDecode, BeforeValidator(networks)]
PublicAddress = Annotated[str, AfterValidator(public_address)]
ListenAddress = Annotated[str, AfterValidator(listen_address)]
RedisAddress = Annotated[SecretStr, AfterValidator(redis_address)]
TrackingAddress = Annotated[str, AfterValidator(tracking_address)]
