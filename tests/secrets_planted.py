"""One made-up value of every kind that must not get out; in pieces, so that no scanner trips here."""


def _joined(*parts: str) -> str:
    return "".join(parts)


FILL = "FAKEfake"

SECRETS: tuple[tuple[str, str], ...] = (
    ("hub_token", _joined("hf", "_", FILL * 4, "12")),
    ("wandb_api_key", "fa4e" * 10),
    ("aws_access_key_id", _joined("AK", "IA", "FAKEFAKEFAKE1234")),
    ("aws_secret_access_key", _joined("FAKEfake/FAKEfake+FAKEfake/FAKEfake", "12345")),
    ("openai_api_key", _joined("sk", "-proj-", FILL * 5)),
    ("anthropic_api_key", _joined("sk", "-ant-api03-", FILL * 6)),
    ("github_token", _joined("gh", "p_", FILL * 4, "1234")),
    ("github_fine_token", _joined("github", "_pat_", FILL * 5)),
    ("gitlab_token", _joined("gl", "pat-", FILL * 3)),
    ("google_api_key", _joined("AI", "za", FILL * 4, "123")),
    ("slack_token", _joined("xo", "xb-", "123456789012-", FILL * 2)),
    ("slack_webhook", _joined("https://hooks.slack.invalid", "/services/", "T0000FAKE/B0000FAKE/", FILL * 2)),
    ("jwt", _joined("ey", "JhbGciOiJub25lIn0.", "ey", "JmYWtlIjoxfQ.", FILL * 2)),
    ("private_key", _joined("-----BEGIN RSA ", "PRIVATE KEY-----\n", FILL * 2, "\n-----END RSA PRIVATE KEY-----")),
    ("azure_account_key", _joined("FAKE" * 21, "Fg==")),
    ("neptune_api_token", _joined("ey", "JhcGlfYWRkcmVzcyI6", FILL * 6)),
    ("gcp_private_key", _joined("-----BEGIN ", "PRIVATE KEY-----\\n", FILL * 5, "\\n-----END PRIVATE KEY-----\\n")),
    ("google_oauth", _joined("ya", "29.", FILL * 4)),
    ("slack_app_token", _joined("xa", "pp-1-A0FAKE-123456789-", FILL * 2)),
    ("openssh_key",
     _joined("-----BEGIN OPENSSH ", "PRIVATE KEY-----\n", FILL * 2, "\n-----END OPENSSH ", "PRIVATE KEY-----")),
    ("azure_sas", _joined("SharedAccess", "Signature=sv%3D2024&sig%3D", FILL * 3)),
    ("azure_connection", _joined("Account", "Key=", "fAKE" * 21, "Fg==")),
    ("database_url", _joined("postgresql://trainer:", "Sup3rS3cret", "@db.corp.invalid:5432/runs")),
    ("proxy_url", _joined("https://bob:", "Pa55w0rd", "@proxy.corp.invalid:3128")),
    ("replicate_token", _joined("r8", "_", FILL * 4)),
    ("aws_session_token", _joined("IQo", "Jb3JpZ2lu", "X2VjEFAKE", FILL * 6, "==")),
    ("azure_client_secret", _joined("fAK", "8", "Q~", FILL * 4)),
    ("telegram_bot", _joined("123456789", ":AA", FILL * 4)),
    ("discord_bot", _joined("MTA", FILL * 3, ".", "GfAKEf", ".", FILL * 4)),
    ("aliyun_key_id", _joined("LT", "AI5t", FILL * 2, "1234")),
    ("tencent_id", _joined("AK", "ID", FILL * 4)),
    ("baidu_key", _joined("ALT", "AK-", FILL * 3)),
    ("volcengine_key", _joined("AK", "LT", FILL * 5)),
    ("zhipu_key", _joined("fa4e" * 8, ".", FILL * 2)),
    ("kaggle_token", _joined("KG", "AT_", FILL * 4)),
    ("sendgrid_key", _joined("S", "G.", FILL * 2, "abcdef.", FILL * 5, "abc")),
    ("databricks_token", _joined("da", "pi", "fa4e" * 8)),
    ("vault_token", _joined("hv", "s.", FILL * 3)),
    ("runpod_key", _joined("rp", "a_", FILL * 5)),
    ("grafana_token", _joined("gl", "sa_", FILL * 4, "_fa4efa4e")),
    ("modelscope_token", _joined("m", "s-", "fa4efa4e-fa4e-fa4e-fa4e-fa4efa4efa4e")),
    ("kubeadm", _joined("kubeadm join --token ", "fakef4", ".", "fakefakefake1234")),
    ("modal_token", _joined("a", "k-", FILL * 2, "123456")),
    ("perplexity_key", _joined("pp", "lx-", FILL * 5)),
    ("pinecone_key", _joined("pc", "sk_", FILL * 5)),
    ("fireworks_key", _joined("f", "w_", FILL * 2, "123456")),
    ("together_key", _joined("tgp", "_v1_", FILL * 5)),
    ("age_key", _joined("AGE-", "SECRET-KEY-1", "FAKEFAKE" * 7)),
    ("sentry_token", _joined("sn", "trys_", FILL * 5)),
    ("notion_token", _joined("nt", "n_", "1234", FILL * 4)),
)  # fmt: skip

BY_NAME: tuple[tuple[str, str], ...] = (
    ("service_key", "8f3c1d5e7a9b2c4d6e8f0a1b3c5d7e9f"),
    ("database_password", "corr3ct-h0rse-battery"),
    ("registry_auth_token", "Fake-0f-a-t0ken-that-looks-l1ke-nothing"),
)
"""Secrets that nothing but the name beside them gives away."""

IDENTITIES: tuple[tuple[str, str], ...] = (
    ("email", "alice.doe@corp.invalid"),
    ("home", "/home/alice.doe/projects/secret-client/out"),
    ("winhome", "C:\\Users\\Alice Doe\\runs"),
    ("dataset_path", "/mnt/lustre/secret-client/train.jsonl"),
    ("bucket", "s3://secret-client-bucket/train.jsonl"),
    ("hostname", "gpu-node-17.internal.corp.invalid"),
    ("master_addr", "10.20.30.40"),
    ("ipv6", "fd00:dead:beef::17"),
    ("mac", "de:ad:be:ef:00:17"),
    ("remote", "git@github.com:secret-client/model.git"),
    ("user", "alicedoe"),
    ("SLURM_JOB_ID", "4711815"),
    ("SLURM_JOB_ACCOUNT", "secretproject"),
    ("https_remote", "https://git.corp.invalid/secret-client/model.git"),
    ("base_model", "/fsx/secret-client/llama-merged"),
    ("dataset_name", "secret-client/chat-logs-2024"),
    ("POD_NAME", "secret-client-trainer-7d9f8b6c5d-x2x9z"),
    ("KUBERNETES_NAMESPACE", "ns-secretproject"),
    ("SLURM_JOB_NODELIST", "gpu-node-[17-18]"),
    ("uuid", "8f3c1a2b-1111-2222-3333-444455556666"),
)
