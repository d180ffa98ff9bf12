"""The canaries, the project that prints them, and where each may be."""

from tests.acceptance.support.leaks import Secret
from tests.acceptance.support.projects import IMAGE

HTTP_SECONDS = 30
ENDED_SECONDS = 180
ALERTS_OF_A_FAILURE = 4  # started and failed, on two channels
MOST_FILES = 50  # of a source, where a test has a larger one refused
ENOUGH = 10  # places where the same search must find something when nothing is masked
NAMES = ("lent", "git", "dataset", "named", "mlflow", "webhook", "discord", "signature", "registry")
CANARIES = {name: Secret("robot", f"canary/{name}+'7Q\"é{number}kX9") for number, name in enumerate(NAMES)}
API_TOKEN = Secret("canary-api-Zq7eXw93kLmN0pRs", "")  # the API's alone: a training is not told, and cannot print it
PROJECT = f"""\
name: canaries
docker_env:
  image: {IMAGE}
  environment: [CANARY]
entry_points:
  main:
    parameters: {{mode: string, dataset_repo: string}}
    command: "python -u train.py {{mode}} {{dataset_repo}}"
"""
# It knows what it is not given by the letters in reverse, which are no form of a secret. A failure is told through one
# pipe: Docker keeps a line of over 16 KB in pieces, and a piece of the other pipe's may come before the exception.
TRAIN = f"""\
import base64, json, os, sys, time, urllib.parse
found = {{os.environ["CANARY"], *(text[::-1] for text in {[c.password[::-1] for c in CANARIES.values()]!r})}}

def tell():
    for text in found:
        raw = text.encode()
        print(text, repr(text), json.dumps([text]), urllib.parse.quote(text, safe=""), raw.hex(), raw.hex().upper())
        print(*(base64.b64encode(b"x" * n + raw).decode() for n in range(3)), base64.urlsafe_b64encode(raw).decode())
    print(os.environ, json.dumps(dict(os.environ)), base64.b64encode(repr(os.environ).encode()).decode())

if sys.argv[1] in ("fail", "greedy"):
    sys.stdout = sys.stderr
tell()
while sys.argv[1] == "wait" and not os.path.exists("/tmp/go"):
    time.sleep(0.1)
if sys.argv[1] == "greedy":
    hoard = [os.urandom(2**20) for _ in range(2000)]
while sys.argv[1] == "flood":
    tell()
if sys.argv[1] == "fill":
    with open("filled", "wb") as filled:
        for _ in range(100):
            filled.write(os.urandom(2**20))
    time.sleep(600)
if sys.argv[1] == "wait":
    tell()
    print("told again")
    time.sleep(600)
if sys.argv[1] == "fail":
    raise RuntimeError(f"{{os.environ['CANARY']}} {{sorted(found)}}")
"""
# A project whose image nobody has: its registry is this machine's, where nothing listens.
NO_IMAGE = PROJECT.replace(IMAGE, "127.0.0.1:9/canaries:1")
HOOK = Secret("canary-of-a-sender-Jw81hQz5tR", "")
# Where something is that opens a part, and why it may be there. All else is a leak.
FILES_OF_THEIR_OWN = {
    "SECRET_KEY": {"secret.key"},  # made at the first start, for its owner only
    "Redis": {"redis-password", "valkey/valkey.conf"},  # likewise
    "Flower": {"flower-password"},  # likewise
}
# Which program's environment may have what; environments can be read by their own user only.
ENVIRONMENTS = {
    "git": {"git"},  # GIT_CONFIG_*: a command whose host asked for the login
    "dataset": {"git"},  # likewise
    "named": {"git"},  # likewise
    "mlflow": {"worker", "guard", "mlflow", "stack", "shell"},
    "webhook": {"worker", "api", "stack", "shell"},
    "discord": {"worker", "api", "stack", "shell"},
    "signature": {"worker", "stack", "shell"},
    "API": {"api", "stack", "shell"},
    # MLflow, in whose process the guard is, has a database there of its own; the servers know what they ask for.
    "PostgreSQL": {"worker", "api", "guard", "mlflow", "stack", "shell", "postgres"},
    "Azure": {"guard", "mlflow", "stack", "shell", "azurite"},
    "Redis": {"worker", "api", "flower", "redis", "stack", "shell"},
    "Flower": {"flower", "stack", "shell"},
}
# What production has no switch for: each Python of the stack starts with a redactor that masks nothing.
NOTHING_IS_MASKED = """\
import shared.secrets.redactor
shared.secrets.redactor.Redactor.data = lambda self, value: value
"""
