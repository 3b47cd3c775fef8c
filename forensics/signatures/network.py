"""Services that a run called and that did not answer: the Hub, object stores, trackers, a generation server.

Sources: requests and urllib3 2 `exceptions.py`, httpx and aiohttp `client_exceptions.py`, botocore `exceptions.py`,
google-api-core `exceptions.py`, huggingface_hub 0.36 `errors.py`, wandb 0.22 `errors`, `errno.h`.
"""

from forensics.signatures.signature import Role, Signature, Words

SIGNATURES = (
    Signature(
        "remote-service-failed",
        "crash-exception",
        "crashed",
        Role.ROOT,
        "a service that the run called did not answer",
        (
            Words("HfHubHTTPError", r"HfHubHTTPError: (?:429|5\d\d) "),
            Words("ClientPayloadError: "),
            Words("Temporary failure in name resolution", r"(?:Errno -3\]|gaierror|Error).{0,200}Temporary failure"),
            Words("EndpointConnectionError: "),
            Words("MaxRetryError: "),
        ),
        unless=r"Address already in use|\b40[134] Client Error",
    ),
)
