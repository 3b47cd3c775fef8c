"""Ranks that lost each other: time-outs, broken connections, settings that a library refuses.

Sources: torch 2.13 `ProcessGroupNCCL.cpp`, `ProcessGroupGloo.cpp`, `TCPStore.cpp`, `elastic/rendezvous`; gloo
`transport/tcp`; NCCL 2.14 to 2.27 `debug.cc`; torch_npu `ERR02200`, HCCL `EI00xx`; CPython 3.12 `faulthandler.c`.
"""

from forensics.signatures.signature import Record, Role, Signature, Words

SIGNATURES = (
    Signature(
        "watchdog-hang",
        "run-hung",
        "hung",
        Role.ROOT,
        "a watchdog found a rank that stood still",
        (
            Words("Did not get subsequent heartbeat", r"Waited [\d.]+ seconds"),
            Words("Timeout (", r"Timeout \(\d{1,4}:\d\d:\d\d(?:\.\d{1,6})?\)!\s*$"),
            Words("Megascale detects a hang"),
            Record("One or more tensors were submitted to be reduced"),
            Record("Stall shutdown", r"One or more ranks stalled for more than"),
            Words("Watchdog timeout (self.watchdog_timeout"),
            Words("Did not get initial heartbeat", r"Waited [\d.]+ seconds"),
        ),
    ),
    Signature(
        "standstill",
        "run-hung",
        "hung",
        Role.WAIT,
        "nothing went on any more: the log ends in lines that only wait",
        (),
    ),
    Signature(
        "nccl-timeout",
        "crash-nccl",
        "hung",
        Role.WAIT,
        "a rank waited for the others until its time was out",
        (
            Words("Watchdog caught collective operation timeout"),
            Words("Caught collective operation timeout"),
            Words("Timed out waiting ", r"Timed out waiting \d{1,12} ?ms for \w+ operation"),
            Words("Some NCCL operations have failed or timed out"),
            Words("Heartbeat monitor timed out"),
            Words("NCCL's watchdog got stuck", r"ProcessGroupNCCL's watchdog got stuck"),
            Words("Barrier", r"Ranks? [\d, ]+ failed to pass monitoredBarrier"),
            Words("DistStoreError: ", r"DistStoreError: .{0,400}[Tt]imed? ?out"),
            Words("Socket Timeout", r"(?:Store|store|TCP|RuntimeError|Rendezvous).{0,400}Socket Timeout"),
            Words("RendezvousTimeoutError"),
            Words("Timed out after ", r"Timed out after \d+ seconds waiting for clients"),
            Words("EI00", r"EI00\d\d.{0,400}(?:time[sd]? ?out|wait)"),
            Words(
                "execute failed, reason=[", r"rt[A-Z]\w{1,40} execute failed, reason=\[(?:task|stream sync) time ?out\]"
            ),
            Words("Wait timeout for sockets", r"[Ww]ait timeout"),
            Words("Barrier, but received errors", r"Rank \d+ successfully reached monitoredBarrier, but"),
            Words(
                "Terminating the process after attempting to dump debug info",
                r"due to (?:ProcessGroup\w+ watchdog hang|collective timeout|.{0,40}(?:hang|timeout))",
            ),
        ),
    ),
    Signature(
        "device-given-twice",
        "crash-nccl",
        "crashed",
        Role.ROOT,
        "two ranks were given one device",
        (Words("Duplicate GPU detected"),),
    ),
    Signature(
        "collectives-differ",
        "crash-nccl",
        "crashed",
        Role.ROOT,
        "ranks called different collectives",
        (
            Words("Detected mismatch between collectives on ranks"),
            Words("Received data size doesn't match expected size"),
        ),
    ),
    Signature(
        "nccl-error",
        "crash-nccl",
        "crashed",
        Role.WAIT,
        "a collective operation between ranks failed",
        (
            Words("HorovodInternalError"),
            Words("Fatal error in ", r"Fatal error in (?:internal_|P?MPI_)"),
            Words("NCCL error", r"(?:RCCL|NCCL) error(?:,| in| \d|:)"),
            Words("NCCL Error", r"NCCL Error \d+: "),
            Words("DistBackendError: "),
            Words("DistNetworkError: ", r"DistNetworkError: (?!.{0,400}EADDRINUSE)"),
            Words("Connection closed by ", r"Connection closed by (?:remote )?peer"),
            *(Words(f"nccl{what}Error: ") for what in ("Remote", "System", "Internal", "UnhandledCuda")),
            *(Words(f"Rendezvous{what}Error") for what in ("Closed", "Connection", "Graceful", "State")),
            Words(
                "Connection reset by peer",
                r"(?:gloo|unbound_buffer|pair\.cc|RuntimeError|recv).{0,200}Connection reset by peer",
            ),
            Words("Gloo connectFullMesh failed"),
            Words("Broken pipe", r"(?:sendBytes|TCPStore|socket).{0,200}Broken pipe"),
            Words("HCCL", r"(?:HCCL function error|call hccl api failed|HCCL_BLOCKING_WAIT|HCCL_E_)"),
            Words("DIST internal error"),
            Words("DIST call hccl api failed"),
            Words("MPI_ERR", r"MPI_ERR_\w+"),
            Words("MPI_ABORT was invoked"),
            Words("Terminating process because the JAX distributed service detected fatal errors"),
        ),
        unless=r"EADDRINUSE|Address already in use",
    ),
    Signature(
        "nccl-warning",
        "crash-nccl",
        "",
        Role.SIGN,
        "the communication library warned",
        (Words("NCCL WARN"),),
    ),
    Signature(
        "port-in-use",
        "crash-launcher",
        "crashed",
        Role.ROOT,
        "the port of the rendezvous was in use",
        (
            Words("Address already in use"),
            Words("EADDRINUSE"),
            Words("The server socket has failed to listen", r"address already in use|EADDRINUSE"),
        ),
    ),
)
