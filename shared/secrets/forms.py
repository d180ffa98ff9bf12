"""Lists the forms in which programs print a secret: escaped, quoted, encoded, in longer text, line by line. Pure."""

import base64
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

SHORT = 8  # characters; a shorter secret occurs in longer words by chance, and is masked only as a whole word
LINE_END = re.compile(r"[\r\n]+|(?:\\r)?\\n")  # multi-line keys are also lent with the two characters \n
PEM_BORDER = "-----"
PERCENT = re.compile(r"%[0-9A-F]{2}")
# Which characters are left unquoted: by Python's quote with and without a path, and JavaScript's two functions.
URL_SAFE = ("", "/", "!'()*", "!'()*;/?:@&=+$,#")
MARKUP = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
URL_ALPHABET = bytes.maketrans(b"+/", b"-_")


def forms_of(secret: str) -> frozenset[bytes]:
    """Return every form; for a short secret, only those that cannot be mistaken for a word."""
    if len(secret) < SHORT:
        short = {secret, quote(secret, safe=""), base64.b64encode(_raw(secret)).decode()}
        return frozenset(map(_raw, short))
    return frozenset(form for part in _parts(secret) for form in (*map(_raw, _texts(part)), *_encodings(_raw(part))))


def _parts(secret: str) -> Iterator[str]:
    """Yield the secret and the lines in which it may be printed; a key's header and footer are not secret."""
    yield secret
    lines = [line.strip() for line in LINE_END.split(secret)]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= SHORT and not line.startswith(PEM_BORDER))


def _texts(part: str) -> Iterator[str]:
    yield part
    yield from _as_json(part)
    yield from _as_python(part)
    yield from _in_addresses(part)
    yield from _for_shells(part)
    yield from (html.escape(part), html.escape(part, quote=False), html.escape(part).replace("&quot;", "&#34;"))
    yield html.escape(part).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def _as_json(part: str) -> Iterator[str]:
    for is_ascii in (True, False):
        once = json.dumps(part, ensure_ascii=is_ascii)[1:-1]
        yield from (once, once.replace("/", "\\/"), once.translate(MARKUP))
        yield json.dumps(once, ensure_ascii=is_ascii)[1:-1]


def _as_python(part: str) -> Iterator[str]:
    """Yield what `repr` shows, alone and within a longer text, whose other quotes decide which ones are escaped."""
    quotes = "'\""
    for shown in (repr(quotes + part), ascii(quotes + part), repr((quotes + part).encode(errors="surrogatepass"))):
        once = shown.partition(quotes)[2][:-1]
        yield from (once, once.replace("\\'", "'"))
        yield repr(quotes + once).partition(quotes)[2][:-1]


def _in_addresses(part: str) -> Iterator[str]:
    quoted = {quote(part, safe=safe, errors="surrogatepass") for safe in URL_SAFE}
    quoted |= {quote_plus(part, errors="surrogatepass"), quote(quote(part, safe="", errors="surrogatepass"), safe="")}
    yield from quoted
    yield from (PERCENT.sub(lambda found: found[0].lower(), each) for each in quoted)


def _for_shells(part: str) -> Iterator[str]:
    yield from (part.replace("'", "'\"'\"'"), part.replace("'", "'\\''"))
    yield re.sub(r'(["\\$`])', r"\\\1", part)


def _encodings(raw: bytes) -> Iterator[bytes]:
    yield from (raw.hex().encode(), raw.hex().upper().encode())
    for encoded in (base64.b64encode(raw), *(_core(raw, before) for before in range(3))):
        yield from (encoded, encoded.translate(URL_ALPHABET))


def _core(raw: bytes, before: int) -> bytes:
    """Return the base64 digits that depend only on the secret if it begins this many bytes into a group of three."""
    first, end = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
    return base64.b64encode(b"\0" * before + raw)[first:end]


def _raw(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
