"""Deaths in words that belong to no program, for last words that no signature knows.

A signature knows phrases of programs that were read when it was written; tomorrow's allocator words it anew. So what
is known to be somebody's last words (the last line of a traceback, a line behind the last metrics that its writer calls
an error, a sentence that says that something came to an end) is also asked whether a few words stand in it together.
"""

import re
from collections.abc import Iterable
from functools import cache

_COLLECTIVE = (
    r"\b(?:nccl\w*|rccl|hccl\w*|gloo|ucx|ucc|xccl|oneccl|collectives?|all[_ -]?reduce|all[_ -]?gather"
    r"|reduce[_ -]?scatter|all[_ -]?to[_ -]?all|barrier|monitoredBarrier|rendezvous|process ?group|communicator"
    r"|TCPStore|c10d|pmix\w*|EI\d{4}|(?:coordination|distributed) service)"
)
_JOB = (
    r"\b(?:job|run|task|pod|container|session|notebook|workload|training|process|allocation|runtime|node|instance|vm"
    r"|machine|cluster|worker|tpu|host|replica)s?\b"
)
_DEVICE = (
    r"\b(?:gpu|device|board|card|accelerator|core|npu|tpu|hpu|xpu|nvlink|chip|hbm|cuda|hip|dcu|mlu|gcu|ipu|\w*devmem)\b"
)
_CLIENTS = (
    r"(?:requests|urllib3|httpx|httpcore|aiohttp|botocore|boto3|s3fs|gcsfs|google\.(?:api_core|auth|cloud)|azure"
    r"|grpc|wandb"
    r"|mlflow|comet_ml|neptune|huggingface_hub|fsspec|redis|pymongo|psycopg2?|openai|ssl|socket|http\.client)"
)
_VENDOR = r"(?:CUDA|CU|PI|HSA|HIP|CUBLAS|CUDNN|CUSOLVER|CUFFT|NRT|UR|ZE|ACL|MUSA|CNRT|MIOPEN|ROCBLAS)"
_SOFTWARE = (
    r"(?:cuda|cu(?:blas(?:lt)?|dnn|fft|solver|sparse|rand)|nvrtc|nvjpeg"
    r"|hip|rocm|npu|xpu|tpu|hpu|mps|musa|level_zero|metal|miopen|acl|synapse|neuron|graph launch)"
)
_EXTENT = (
    r"^(?!.{0,400}(?:state_dict|copying a param|optimizer|checkpoint)).{0,400}?(?:-dimensional\b|_shape\b|value\(s\)"
    r"|values? per|\b(?:\w+\.)?(?:shapes?|sizes?|dimensions?|dims?|channels|lengths?|subscript)\b"
    r"|\bnumbers? of (?:samples|classes|features|elements)|\d features\b)"
)
"""Something has an extent; names and sizes that do not fit those of a checkpoint are told by its own cause."""
_UNEQUAL = (
    r"mismatch|\bmatching (?:shapes|sizes|dimensions|lengths)\b"
    r"|\bincompatible\b|\binconsistent\b|\bnot compatible\b|\bunequal\b|\bdiffers?\b|\bdifferent\b"
    r"|\bmust (?:agree|match|be (?:the same|equal)|have the same)|(?:\bnot|n't) (?:match|broadcast|equal|fit)\b"
    r"|\b(?:cannot|could not|can't|can not) (?:be )?(?:broadcast|multipl|reshape)|\bis invalid for input\b"
    r"|\bexpected\b.{0,80}\b(?:received|got|given|found)\b|\bshould have (?:the )?same\b"
    r"|\bbut\b.{0,60}\bexpect(?:s|ed|ing)\b"
    r"|\bbut (?:got|received|found|should be|input)\b|\bbut is (?:torch\.Size|[\[(])|\b(?:instead|got) \S{0,40}\d"
    r"|\bgreater than actual\b"
)
_DATA = (
    r"^(?!.{0,400}(?:checkpoint|state_?dict|safetensors|PytorchStream|optimizer|\.(?:pth?|ckpt|bin)\b))"
    r".{0,400}?\b(?:images?|pictures?|videos?|audio|frames?|clips?|png|jpe?g|webp|gif|tiff?|bmp|mp[34]|wav|flac|ogg"
    r"|mkv|avi|webm|parquet|arrow|thrift|tfrecords?|tar(?:file|ball)?|shards?|gzip|\w{0,4}gz|zip|zstd|bz2|lz4|lzma"
    r"|csv|jsonl?|hdf5"
    r"|lmdb|np[yz]|records?|rows?|samples?|codecs?|packets?|streams?|data|archives?|crc|bitstream|decoder|demuxer)\b"
)
"""What a data set is made of; a checkpoint that does not open is told by causes of its own."""
_UNREADABLE = (
    r"(?:\b|_)corrupt(?:ed|ion)?(?:\b|error)|\bout of spec"
    r"|\btruncated\b|\bbroken (?!pipe)|\bdamaged\b|\bmalformed\b|\bpremature end\b"
    r"|\bunexpected end of\b"
    r"|\b(?:decod|demux|decompress|deseriali[sz]|inflat|transcod)\w{0,5} (?:error|fail\w{0,3})\b"
    r"|\b(?:fail\w{0,3}|unable|could not|couldn't|cannot|can't|error)(?: to)?(?: in| while)? ?(?:decod|demux"
    r"|decompress|deseriali[sz]"
    r"|identify|inflat)\w{0,5}"
    r"|\binvalid (?:data found|header|magic|bitstream|chunk|block|frame)\b|\bbad (?:magic|header|crc|marker|block)\b"
    r"|\b(?:crc|checksum|hash|md5)\b.{0,20}(?:fail|mismatch|error|differ|invalid)|\bun(?:recogni[sz]ed|supported"
    r"|known) .{0,20}\bformat\b"
    r"|\b(?:is )?not an? (?:valid )?(?:gzip|gzipped|zip|tar|parquet|png|jpe?g|hdf5|tfrecord)\b"
)
_NUMBERS = r"\d.{0,200}\D\d|\(None,"

General = tuple[str, tuple[str, ...]]
GENERAL: tuple[General, ...] = (
    ("data-loader-timeout", (r"\bdata ?loader\b", r"\btime[sd]? ?-?out\b")),
    ("watchdog-hang", (r"\bwatchdog (?:timeout|expired)\b(?!.{0,80}collective)",)),
    ("nccl-timeout", (_COLLECTIVE, r"\b(?:time[sd]? ?-?out|timeout|hung|hangs?|stuck|deadlock|no heartbeat)\b")),
    ("nccl-timeout", (r"\b(?:stream|device|event)[ _]sync\w*(?: \w+){0,2} time[sd]? ?-?out\b",)),
    (
        "watchdog-hang",
        (
            r"\b(?:rank|worker|process|trainer|training|job|watchdog|host|chip|core|neff)s?\b",
            (
                r"\b(?:hung|stuck|stalled|hanging|unresponsive|no progress)\b|\bhang (?:was |is )?(?:detected|that)\b"
                r"|\b(?:soft|hard|step|section|heartbeat|iteration)['\"]? time ?-?out(?: of \w+)? (?:was )?exceeded"
                r"|\bstill waiting for\b"
                r"|\bhangs?(?: for)? (?:more than|over|longer)|\bdetect(?:s|ed) (?:a |the )?hang\b|\w_TIMEOUT\b"
            ),
        ),
    ),
    ("nccl-error", (_COLLECTIVE, r"\b(?:error|fail|abort|unhealthy|unavailable|closed|reset|crash)")),
    (
        "nccl-error",
        (
            r"\b(?:another|remote|peer|other) (?:rank|task|process|worker|peer)\b",
            r"\b(?:died|exited|crashed|failed|disconnected|lost)\b",
        ),
    ),
    (
        "nccl-error",
        (
            r"\b(?:rank|task|process|worker|peer|transport|endpoint)\b",
            (
                r"\b(?:different incarnation|has (?:likely )?restarted|retry count exceeded|heartbeat time ?-?out"
                r"|endpoint time ?-?out|transport error)\b"
            ),
        ),
    ),
    (
        "gpu-hardware",
        (
            _DEVICE,
            (
                r"fallen off|\b(?:is|was) lost\b|\bunrecoverable|\buncorrectable|\bhalted\b"
                r"|\bhardware (?:fault|error|reset)\b|\berror state\b"
            ),
        ),
    ),
    ("gpu-hardware", (r"DEVICE_LOST|UNIT_UNRECOVERABLE|\bHW_ERR|\bhardware exception\b|\bGPU hang\b",)),
    (
        "illegal-memory-access",
        (
            (
                r"\b(?:illegal|invalid) (?:memory )?(?:address|access)\b(?! or nil)|\bmemory access fault\b"
                r"|\bmisaligned (?:address|access)\b|APERTURE_VIOLATION|\blaunch failure\b|\bmmu fault\b"
                r"|\baivec error\b"
            ),
        ),
    ),
    ("oom-kill-record", (r"\boom[-_ ]kill",)),
    ("oom-kill-record", (r"\bout[- ]of[- ]memory\b|\boom\b", r"\bcode:? 137\b|\bsigkill\b|\bsignal 9\b")),
    (
        "oom-kill-record",
        (
            r"\b(?:killed|killing|evicted|terminated|sigkill)\b",
            (
                r"\bmemory (?:pressure|usage|limit|allocation|request|monitor)|\b(?:more|too much) memory\b"
                r"|\b[hs]_vmem\b|\brss\b|\boom\b|\bout[ -]of[ -]memory"
            ),
        ),
    ),
    (
        "oom-kill-record",
        (
            _JOB,
            r"\bmemory\b",
            (
                r"\b(?:gone over|exceed(?:s|ed|ing)?|over|beyond) .{0,40}(?:limit|memory|available)"
                r"|\bmemory limit.{0,20}\b(?:reached|exceeded)|\bmemory than is available\b"
            ),
        ),
    ),
    ("host-memory", (r"\byou tried to allocate \d+ bytes\b|OUT_OF_HOST_MEMORY|^MemoryError\b|: MemoryError\b",)),
    ("host-memory", (r"errno 12\]|os error 12\b|cannot allocate memory|winerror (?:8|1455)\]|error code: <1455>",)),
    (
        "host-memory",
        (
            r"\b(?:host|system|cpu|main)[ -](?:memory|ram)\b",
            r"\b(?:exhaust|full\b|fail|exceed|insufficient|low\b|not enough|out of)",
        ),
    ),
    (
        "out-of-memory",
        (
            (
                r"\bout[ -]of[ -](?:gpu |device |hbm |video )?memory\b|\bmemory is(?:n't| not) enough"
                r"|\b(?:not enough|insufficient) (?:(?!shared)\w+ )?memory"
                r"|\bmemory exhausted\b|\bhbm capacity\b|\boom\b|OutOf(?:Device)?Memory\b|OUT_OF_DEVICE_MEMORY"
            ),
        ),
    ),
    ("native-crash", (r"\baccess violation\b",)),
    ("out-of-memory", (r"RESOURCE_?EXHAUSTED", r"\bmemory\b|\balloc|\bhbm\b|\bbuffer\b")),
    ("out-of-memory", (r"\b(?:nrt|cu|cuda|hip|acl|cnrt|mu)_?\w*alloc|\baccelerator\b", r"\bfail|exhausted|exceed")),
    ("out-of-memory", (_DEVICE, r"\balloc|\bmemory\b|\bhbm\b", r"\bfail|exhausted|exceed|insufficient")),
    (
        "cuda-error",
        (
            (
                rf"\b{_VENDOR}_(?:RESULT_|STATUS_)?(?:ERROR|ERR|EXEC|NOT|INTERNAL|MAPPING|INVALID)"
                rf"|\b{_SOFTWARE} (?:runtime |driver |kernel |graph |backend |function |api )?(?:error|failure|fault)\b"
                r"|\bsynStatus ?=? ?[1-9]|\bcurrent working operator name\b"
                r"|\b(?:CudaAPIError|UNKNOWN_CUDA_ERROR)\b"
            ),
        ),
    ),
    ("port-in-use", (r"\bport\b", r"\bin use\b|\banother process\b|\boccupied\b|\balready taken\b")),
    # A connection that was reset (errno 104) is that of a data loader's worker as often as one to a service.
    (
        "remote-service-failed",
        (
            (
                rf"^{_CLIENTS}\.[\w.]{{1,120}}(?<!UsageError)(?<!ValidationError)(?<!errors\.Error): "
                r"|(?:errno|os error) (?:101|110|111|113|-2|-3)\b"
                r"|\b(?:429|50[0234]) (?:client|server) error\b|\bHTTP (?:\w+ )?code: (?:429|50[0234])\b"
                r"|\b(?:429|50[0234])\W{1,3}(?:too many req|internal server|bad gateway|service unavail|gateway time)"
                r"|\bservice error\b|\b(?:request|connection) failed after \d+ (?:retries|attempts)"
                r"|^(?:ReadTimeout|ConnectTimeout|ConnectionError|SSLError|RemoteDisconnected|ProtocolError): "
            ),
        ),
    ),
    (
        "disk-full",
        (
            (
                r"(?:errno|os error)(?: | = )(?:28|122)\b|\bno space left\b|\bdisk (?:is |was )?full\b|ENOSPC|EDQUOT"
                r"|\b(?:insufficient|not enough|out of) (?:free )?(?:disk|storage)\b"
            ),
        ),
    ),
    ("disk-full", (r"\bquota\b", r"\bexceed")),
    ("too-many-open-files", (r"(?:errno|os error) (?:23|24)\b",)),
    ("too-many-processes", (r"\b(?:pthread_create|fork|thread creation)(?:\(\))? (?:has )?failed",)),
    ("file-system-fault", (r"\bunable to lock file\b|\bno locks available\b|errno 37\]",)),
    (
        "file-system-fault",
        (r"(?:errno|os error) (?:5|30|70|107|108|116|117|121)\b|\(input/output error\)|errno 103\].{0,80}: '",),
    ),
    ("row-not-decoded", (_DATA, _UNREADABLE)),
    (
        "nan-assertion",
        (
            (
                r"\b(?:\w{1,20}_)?loss(?:es|_\w{1,20})?\b|\bgradients?\b|\bgrad[_ ]?norm\b|\bactivations?\b|\blogits\b"
                r"|\b(?:labels?|inputs?|features?|targets?|outputs?|predictions?|rewards?|weights?)"
                r" (?:contain\w*|is|are|was|were|became|has|have)\b"
            ),
            r"\bnans?\b|\binfs?\b|\binfinite\b|\binfinity\b|\bnon-?finite\b|\bnot finite\b",
        ),
    ),
    ("nan-assertion", (r"\bcheck failed|\bassert", r"\bis_?(?:finite|nan|inf)\b")),
    ("nan-assertion", (r"\bnans? or infs?\b|\binfs? or nans?\b",)),
    ("nan-assertion", (r"\bnans? (?:persist|detect|encounter|found|occur|generat)",)),
    (
        "interrupted",
        (
            (
                r"\bkeyboard ?interrupt|\binterrupt (?:signal|received)\b|\breceived (?:an )?interrupt\b"
                r"|^\W*interrupted[.!]"
                r"|\b(?:ctrl|control) ?[-+ ] ?c\b|\bsigint\b|\^[C\\]|\binterruptexception\b"
                r"|\bstop signal received\b|\bexiting from training early\b|\bexecution interrupted\b"
                r"|\buser[- ](?:interrupt|abort|stop)|\binterrupt(?:ed)? by (?:the |its )?(?:user|owner|operator)\b"
            ),
        ),
    ),
    (
        "cancelled",
        (
            (
                r"\b(?:cancell?ed|stopped|terminated|killed|interrupted|aborted) by (?:the |its )?"
                r"(?:user|owner|admin|operator)|\b(?:deleted|cancell?ed|stopped) (?:at|on) (?:the )?request of\b"
                r"|\b(?:stopped|aborted|interrupted|cancell?ed|terminated) manually\b"
                r"|\bmanually (?:stopped|aborted|interrupted|cancell?ed)\b"
                r"|\buser[- ]cancel|\bintentionally stopped\b|\b(?:user|operator|owner)(?:'s)? request\b"
                r"|\b(?:job|run|task|training)\b.{0,40}\b(?:cancell?ed|deleted) by (?!\w+ \w)"
                r"(?!timeout|signal|system|scheduler)"
            ),
        ),
    ),
    (
        "preempted",
        (
            _JOB,
            (
                r"\b(?:pre-?empted|reclaimed|outbid)\b|\bspot (?:\w+ )?(?:interruption|reclaim)\b"
                r"|\binterruption (?:notice|warning)\b|\b(?:due to|because of|by) (?:\w+ )?pre-?emption\b"
            ),
        ),
    ),
    ("preempted", (r"\b(?:because of|due to) (?:\w+ )?pre-?empt",)),
    (
        "class-out-of-range",
        (
            (
                r"\bindex -?\d+ is out of bounds for dimension \d+ with size \d+"
                r"|\b(?:labels?|class)\b.{0,80}(?:valid range\b|\b(?:(?:smaller|less) than|0 and) num_classes\b)"
            ),
        ),
    ),
    (
        "dtype-mismatch",
        (
            r"\bdtypes?\b|\bscalar ?types?\b|not implemented for '|\btype at::|^\w{1,20}: result type \w+",
            (
                r"\bsame dtype\b|\bdtypes? (?:do not|must) match|\bdtype \w+ (?:but|and)\b|\bexpected .{0,80}\bdtype\b"
                r"|not implemented for '(?:Int|Long|Short|Byte|Char|Bool|Half|BFloat16|Float8\w{0,8})'|without overflow"
                r"|\bunsupported ScalarType\b|\bone of the following scalar types\b|\bcan't be cast to the desired\b"
            ),
        ),
    ),
    (
        "dtype-mismatch",
        (
            (
                r"\bexpected a floating point (?:or complex )?(?:tensor|dtype)|\bcould not infer output dtype\b"
                r"|\bwas expected to be an? \w+ tensor but is an? \w+ tensor\b|\binput dtype must be\b"
                r"|\btype \w+ that does not match type \w+|\bdoes not match the type of data \("
                r"|\bCast \w+ to \w+ is not supported|\binput type must be same"
                r"|\bonly supports? torch\.\w{3,10} and torch\.\w+ dtypes?"
                r"|\bthe same dtypes, got\b|\bonly applicable to index tensor of type"
                r"|\bonly tensors of floating point (?:and complex )?dtype can require gradients\b"
            ),
        ),
    ),
    (
        "device-mismatch",
        (
            r"\bdevices?\b",
            r"\bsame device\b|\bdifferent devices\b|found one of them on device\b|\bon device .{1,40}\bon device\b",
        ),
    ),
    ("shape-mismatch", (_EXTENT, _UNEQUAL, _NUMBERS)),
    (
        "shape-mismatch",
        (
            (
                r"inhomogeneous shape|data cardinality is ambiguous|non-rectangular python sequence"
                r"|split sizes doesn't match"
                r"|resize storage that is not resizable|\bmulti-target not supported"
                r"|number of dims don't match|\bshape mismatch"
                r"|\b(?:must|should) have (?:the )?same (?:length|shape|size|number)\b"
            ),
        ),
    ),
    ("evicted", (r"\b(?:job|pod|container|workload|replica)\b", r"\bevicted\b")),
    (
        "time-limit",
        (
            _JOB,
            r"\b(?:exceed|reached|hit|over|expired|timeout)",
            (
                r"\bmax(?:imum)? (?:\w+ )?(?:length|time|duration)\b|\bh_rt\b"
                r"|\bwall[- ]?(?:clock|time)|\btime[- ]?limit|\brun[- ]?time\b|\bdeadline\b|\bduration\b"
                r"|\ballocation expired\b|\btype=timeout\b|\btimeout of \d|\busage limit"
                r"|\bexecution time\b|\bCPU (?:usage|time) limit\b"
            ),
        ),
    ),
    (
        "node-failure",
        (
            r"\b(?:node|system|host|machine)s?\b",
            (
                r"\bconnection to (?:node|host|machine)\b.{0,40}\blost\b|\bnode (?:is )?dead\b"
                r"|\blost (?:connection|contact|communication)\b|\bnot responding\b|\bnode shutdown\b|\brebooted\b"
                r"|\b(?:is|was|been|went|going) (?:down|lost|unreachable|offline|terminated)\b"
            ),
        ),
    ),
    (
        "actor-died",
        (
            (
                r"\b(?:\w{0,12}jobs?|training|workflow|experiment|pod)\b(?: \S{1,60}){0,3}"
                r" (?:has )?(?:failed|aborted|crashed)\b(?! to\b)"
            ),
        ),
    ),
    # Who interrupts a training and says no more is who started it.
    ("interrupted", (r"\btraining (?:was )?interrupted\b(?!.{0,30}\b(?:by|due|because)\b)",)),
)
"""Names of signatures, and expressions that must all be found (letters of any case); the first row that fits counts."""


def in_general(text: str, rows: Iterable[General] = GENERAL) -> list[str]:
    """Return the names of the signatures that last words suit in general terms, the nearest first."""
    return [name for name, together in rows if all(general(words).search(text) for words in together)]


@cache
def general(words: str) -> re.Pattern[str]:
    """Return one expression of a row, compiled at its first use."""
    return re.compile(words, re.IGNORECASE)
