"""Mutants for the properties of test_server.py."""

from tests.images import test_server
from tests.mutants.mutant import Mutant, as_root, based_on, wrap

MUTANTS = based_on(
    "go-server",
    Mutant(
        "libvmaf-changed-after-linking",
        test_server.test_server_uses_the_libvmaf_it_was_linked_with,
        r"\+ sha256:[0-9a-f]{64}",
        as_root("printf x >>/usr/local/lib/libvmaf.so"),
    ),
    Mutant(
        "server-label-with-another-version",
        test_server.test_server_version_matches_the_image,
        r"vmaf-server 9\.9\.9 \(",
        "LABEL org.opencontainers.image.version=9.9.9",
    ),
    Mutant(
        "model-file-removed",
        test_server.test_server_offers_every_model,
        r"models only offered or only listed: \['vmaf_v0\.6\.1neg\.json'\]",
        as_root("rm /usr/local/share/vmaf/model/vmaf_v0.6.1neg.json"),
    ),
    Mutant(
        "server-writes-to-the-root-filesystem",
        test_server.test_server_scores_locked_down,
        "cannot touch '/data/log': Read-only file system",
        wrap("vmaf-server", 'touch /data/log && exec vmaf-server.real "$@"'),
        params={"user": "vmaf"},
    ),
    Mutant(
        "server-only-executable-by-its-owner",
        test_server.test_server_scores_locked_down,
        "exec /usr/local/bin/vmaf-server: permission denied",
        as_root("chown -R vmaf /usr/local/bin && chmod 700 /usr/local/bin/vmaf-server"),
        params={"user": "65534:65534"},
    ),
    Mutant(
        "port-without-a-listener",
        test_server.test_server_listens_on_the_declared_ports,
        "'7070/tcp'",
        "EXPOSE 7070",
    ),
    Mutant(
        "grpc-on-another-port",
        test_server.test_server_listens_on_the_declared_ports,
        "port 9090 answers b'' instead of HTTP/2's settings",
        "ENV VMAF_GRPC_ADDRESS=:9091",
    ),
    Mutant(
        "server-without-a-health-check",
        test_server.test_healthcheck_reports_the_servers_state,
        r"assert \['NONE'\] == ",
        "HEALTHCHECK NONE",
    ),
    Mutant(
        "server-ignores-signals",
        test_server.test_server_ends_on_docker_stop,
        "the server ended with 137",
        wrap("vmaf-server", 'vmaf-server.real "$@"; exit'),
    ),
)
