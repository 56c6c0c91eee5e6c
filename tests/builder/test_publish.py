"""Publish a small image to registries on loopback: one by HTTP, one by TLS with a password.

Both are Debian's docker-registry, which has no API for referrers: they are listed by a tag. The
second client, which checks what was published, is oras-py.
"""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import oras.provider
import pytest
import zstandard

from scripts.bench import registry
from scripts.contents import inventory
from scripts.core import loopback, process
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.images.catalogue import Image
from scripts.publish import index, publish, signing, tools
from scripts.publish.publish import Prepared, Publisher
from scripts.publish.registry import INDEX, RegistryError, Repository
from scripts.publish.signing import Signer
from tests.support import archives
from tests.support.subject import docker

pytestmark = pytest.mark.timeout(1800)  # the first test may have to build the tools, for minutes

IMAGE = Image("cpu", "vmaf-test-publish:cpu", "", "", {}, frozenset())
BOTH = [
    Image("cpu", f"vmaf-test-publish:{architecture}", "", "", {}, frozenset(), (name,))
    for architecture, name in (("amd64", "linux/amd64"), ("arm64", "linux/arm64"))
]
"""The image for two platforms. Its program is text, so that no emulator is needed."""
CREATED = 1_700_000_000
"""The time of the image, in seconds since 1970."""
LABELS = {
    "org.opencontainers.image.revision": process.output(
        "git", "rev-parse", "HEAD", cwd=ROOT
    ).strip(),
    "org.opencontainers.image.licenses": "GPL-3.0-or-later",
    "vmaf.ffmpeg": "9.0",
    "vmaf.without": "",
}
COMPONENTS = {
    "libvmaf": {"name": "libvmaf", "version": "3.2.0", "source": "docker/smoke"},
    "ffmpeg": {"name": "FFmpeg", "version": "9.0.2", "source": "Debian 13.8"},
}
RELEASE = "cpu-ffmpeg9.0.2-vmaf3.2.0"
MOVING = {"cpu", "cpu-ffmpeg9.0", "latest"}
WHEN = datetime(2026, 11, 28, 1, 30, tzinfo=UTC)
DATED = f"{RELEASE}-20261128T0130Z"
USER, PASSWORD = "user", "secret"
HTPASSWD = f"{USER}:$2b$04$h3J9Lfp7x2z4pzJrrvlTv.V6xW1/xl5MG4WaFJHyDrTmiqgW7RFmq\n"
"""The hash of the password."""


def load(
    image: Image = IMAGE,
    *,
    time: int = CREATED + 100,
    content: bytes = b"program",
    components: Mapping[str, object] = COMPONENTS,
) -> None:
    """Load the image, whose files have a time in seconds since 1970."""
    system, _, architecture = (image.platforms or ["linux/amd64"])[0].partition("/")
    files: dict[str, str | bytes] = {
        "usr/local/bin/": b"",
        "usr/local/bin/vmaf": content,
        inventory.VERSIONS.lstrip("/"): json.dumps(components).encode(),
    }
    layer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archives.layer(files))) as source,
        tarfile.open(fileobj=layer, mode="w") as tar,
    ):
        for member in source:
            member.mtime = time
            tar.addfile(member, source.extractfile(member) if member.isfile() else None)
    config = {
        "architecture": architecture,
        "os": system,
        "created": "2023-11-14T22:13:20Z",
        "config": {"Labels": LABELS},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"],
        },
        "history": [{"created": "2023-11-14T22:13:20Z", "created_by": "COPY / /"}],
    }
    saved = {
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer.getvalue(),
        "manifest.json": json.dumps(
            [{"Config": "config.json", "RepoTags": [image.tag], "Layers": ["layer.tar"]}]
        ).encode(),
    }
    with NamedTemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name, data in saved.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        file.flush()
        loaded = docker("load", "--quiet", f"--input={file.name}")
    assert not loaded.returncode, loaded.stderr


@pytest.fixture(autouse=True)
def in_engine() -> Iterator[None]:
    """Load the image, and remove it at the end."""
    load()
    yield
    for image in (IMAGE, *BOTH):
        process.run("docker", "image", "rm", "--force", image.tag)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Signer]:
    """Return a function that makes a pair of keys."""
    cosign = tools.find("cosign")

    def make(name: str) -> Signer:
        directory = tmp_path_factory.mktemp(name)
        environment = {**process.environment(), "COSIGN_PASSWORD": ""}
        made = process.run(str(cosign), "generate-key-pair", cwd=directory, env=environment)
        assert not made.returncode, made.stderr
        return Signer(cosign, f"{directory}/cosign.key", f"{directory}/cosign.pub")

    return make


@pytest.fixture(scope="module")
def signer(keys: Callable[[str], Signer]) -> Signer:
    """Return a pair of keys."""
    return keys("signer")


@dataclass
class Site:
    """A registry that can be stopped and started again."""

    directory: Path
    port: int
    stack: ExitStack
    certificate: Path | None = None

    @property
    def host(self) -> str:
        """The address of the registry."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the registry with the data that it had."""
        log = self.directory / "log"
        command = [str(registry.registry_program()), "serve", f"{self.directory}/config.yml"]
        self.stack.enter_context(loopback.daemon(command, log))
        loopback.wait(self.port, log)


def site(directory: Path, stack: ExitStack, *, secured: bool) -> Site:
    """Start a registry."""
    port = loopback.free_port()
    started = Site(directory, port, stack)
    lines = [
        "version: 0.1",
        f"storage: {{filesystem: {{rootdirectory: '{directory}/data'}}}}",
        "http:",
        f"  addr: '{started.host}'",
    ]
    if secured:
        started.certificate = directory / "tls.crt"
        made = process.run(
            *("openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "1"),
            *("-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", "tls.key", "-out", "tls.crt"),
            cwd=directory,
        )
        assert not made.returncode, made.stderr
        (directory / "htpasswd").write_text(HTPASSWD)
        lines += [f"  tls: {{certificate: '{directory}/tls.crt', key: '{directory}/tls.key'}}"]
        lines += [f"auth: {{htpasswd: {{realm: test, path: '{directory}/htpasswd'}}}}"]
    (directory / "config.yml").write_text("\n".join(lines))
    started.start()
    return started


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Start a registry without a password; no credentials of the user are there."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "plain").mkdir()
    with ExitStack() as stack:
        yield site(tmp_path / "plain", stack, secured=False)


@pytest.fixture
def secured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Start a registry with TLS and a password; its CA is known, and the password is not."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "secured").mkdir()
    with ExitStack() as stack:
        started = site(tmp_path / "secured", stack, secured=True)
        monkeypatch.setenv("SSL_CERT_FILE", str(started.certificate))
        yield started


@pytest.fixture
def publisher(plain: Site, signer: Signer) -> Publisher:
    """Return what publishes to the plain registry."""
    return make_publisher(plain, signer)


def make_publisher(to: Site, signer: Signer | None) -> Publisher:
    """Return what publishes to a registry."""
    regctl = tools.find("regctl")
    repository = Repository(f"{to.host}/team/vmaf", regctl)
    return Publisher(repository, regctl, signer, "zstd", "9.0", WHEN)


def prepare(publisher: Publisher, directory: Path, images: Sequence[Image] = (IMAGE,)) -> Prepared:
    """Pack the image."""
    directory.mkdir()
    return publisher.prepare(images, publisher.repository.tags(), directory)


def image_tags(publisher: Publisher) -> set[str]:
    """Return the tags of images; the others list referrers."""
    return {tag for tag in publisher.repository.tags() if not tag.startswith("sha256-")}


def score(image: Image, tag: str) -> bool:
    """Check that the engine has the image that was pulled back, for its platform."""
    shown = docker("image", "inspect", "--format={{.Os}}/{{.Architecture}}", tag)
    return shown.stdout.strip() in (image.platforms or ["linux/amd64"])


def publish_all(
    publisher: Publisher, directory: Path, images: Sequence[Image] = (IMAGE,)
) -> Prepared:
    """Publish the image."""
    prepared = prepare(publisher, directory, images)
    publisher.push(prepared)
    publisher.check_published(prepared, score)
    publisher.move_tags([prepared])
    return prepared


def test_tags_are_moved_to_the_signed_image_at_the_end(
    publisher: Publisher, tmp_path: Path
) -> None:
    """Until everything else is done, no tag is there; then all name the image."""
    prepared = prepare(publisher, tmp_path / "a")
    publisher.push(prepared)
    publisher.check_published(prepared, score)
    assert not image_tags(publisher)
    publisher.move_tags([prepared])
    sources = {f"{tag}-source" for tag in (RELEASE, DATED)}
    assert image_tags(publisher) == {*MOVING, RELEASE, DATED} | sources
    for tag in image_tags(publisher) - sources:
        assert publisher.repository.digest(tag) == prepared.digest
    later = replace(publisher, when=WHEN + timedelta(days=1))
    again = publish_all(later, tmp_path / "b")
    assert again.tags.dated == DATED
    assert not again.moving


def test_source_of_the_image_is_published(publisher: Publisher, tmp_path: Path) -> None:
    """The tag with `-source` has one file, the same bytes for the same image."""
    prepared = publish_all(publisher, tmp_path / "a")
    client = oras.provider.Registry(insecure=True)
    reference = f"{publisher.repository.name}:{DATED}-source"
    manifest = client.get_manifest(reference)
    assert manifest["artifactType"] == publish.SOURCE
    (file,) = manifest["layers"]
    content = client.get_blob(reference, file["digest"]).content
    commit = prepared.variants[0].built.labels["org.opencontainers.image.revision"]
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert {"source/README.txt", f"source/vmaf-images-{commit[:12]}.tar"} < set(tar.getnames())
    again = prepare(publisher, tmp_path / "b")
    assert (again.variants[0].directory / "source.tar").read_bytes() == content


def test_another_client_reads_the_published_image(publisher: Publisher, tmp_path: Path) -> None:
    """oras-py finds the layer, the labels, the SBOM, the provenance and three signed bundles."""
    prepared = publish_all(publisher, tmp_path / "a")
    client = oras.provider.Registry(insecure=True)
    name = publisher.repository.name
    manifest = client.get_manifest(f"{name}:cpu")
    assert manifest["annotations"]["org.opencontainers.image.licenses"] == "GPL-3.0-or-later"
    (layer,) = manifest["layers"]
    assert layer["mediaType"].endswith("tar+zstd")
    config = client.get_blob(f"{name}:cpu", manifest["config"]["digest"]).json()
    content = client.get_blob(f"{name}:cpu", layer["digest"]).content
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == layer["digest"]
    tar = zstandard.ZstdDecompressor().decompressobj().decompress(content)
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(tar).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(tar)) as files:
        assert {member.mtime for member in files} == {315532800}
    listed = client.get_manifest(
        f"{name}:{prepared.digest.replace(':', '-')}",
        allowed_media_type=["application/vnd.oci.image.index.v1+json"],
    )
    kinds = sorted(entry["artifactType"] for entry in listed["manifests"])
    bundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert kinds == sorted([publish.SBOM, publish.STATEMENT, *[bundle] * 3])
    (attached,) = (e for e in listed["manifests"] if e["artifactType"] == publish.STATEMENT)
    (file,) = client.get_manifest(f"{name}@{attached['digest']}")["layers"]
    statement = client.get_blob(f"{name}:cpu", file["digest"]).json()
    digest = prepared.digest.removeprefix("sha256:")
    assert statement["subject"][0]["digest"]["sha256"] == digest
    assert statement["predicate"]["buildDefinition"]["externalParameters"]["target"] == "cpu"


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_equal_files_have_equal_digests(
    publisher: Publisher, compression: str, tmp_path: Path
) -> None:
    """Files that were made at other times give the same digest, and other files another one."""
    publisher = replace(publisher, compression=compression)
    first = prepare(publisher, tmp_path / "a")
    load(time=CREATED + 5000)
    assert prepare(publisher, tmp_path / "b").digest == first.digest
    load(content=b"another")
    assert prepare(publisher, tmp_path / "c").digest != first.digest


def test_release_of_other_files_needs_move(publisher: Publisher, tmp_path: Path) -> None:
    """The tag of a release stays at its image without --move; the dated tag stays anyway."""
    first = publish_all(publisher, tmp_path / "a")
    load(content=b"another")
    repository = publisher.repository
    with pytest.raises(UserError, match="a dated tag never moves"):
        prepare(replace(publisher, move=True), tmp_path / "b")
    publisher = replace(publisher, when=WHEN + timedelta(days=1))
    with pytest.raises(UserError, match="has the same releases and other files"):
        prepare(publisher, tmp_path / "c")
    assert repository.digest("cpu") == first.digest
    second = publish_all(replace(publisher, move=True), tmp_path / "d")
    assert repository.digest(RELEASE) == second.digest
    assert repository.digest(DATED) == first.digest


@pytest.mark.parametrize("how", ["does not score", "other files"])
def test_image_that_does_not_work_gets_no_tag(
    publisher: Publisher, how: str, tmp_path: Path
) -> None:
    """If the image that was pulled back fails, or has other files, no tag is moved."""
    prepared = prepare(publisher, tmp_path / "a")
    publisher.push(prepared)
    message = "does not score video"
    if how == "other files":
        load(content=b"another")
        prepared.variants[0].id = IMAGE.tag
        message = r"1 files differ .* such as /usr/local/bin/vmaf"
    with pytest.raises(UserError, match=message):
        publisher.check_published(prepared, lambda *_: how != "does not score")
    assert not image_tags(publisher)
    assert not process.output("docker", "image", "ls", "--quiet", publish.PULLED)


def test_registry_that_dies_keeps_the_tags(
    plain: Site, publisher: Publisher, tmp_path: Path
) -> None:
    """A push fails if the registry dies; the next one succeeds, and no tag was moved before."""
    first = publish_all(publisher, tmp_path / "a")
    load(content=b"another")
    publisher = replace(publisher, when=WHEN + timedelta(days=1), move=True)
    second = prepare(publisher, tmp_path / "b")
    plain.stack.close()
    with pytest.raises(RegistryError, match="cannot push"):
        publisher.push(second)
    plain.start()
    assert publisher.repository.digest("cpu") == first.digest
    publisher.push(second)
    publisher.move_tags([second])
    assert publisher.repository.digest("cpu") == second.digest


@pytest.fixture
def both() -> Sequence[Image]:
    """Load the image for two platforms."""
    for number, image in enumerate(BOTH):
        load(image, content=f"program {number}".encode(), time=CREATED + 100 * number)
    return BOTH


def get(publisher: Publisher, reference: str) -> dict[str, Any]:
    """Return an index, as oras-py reads it."""
    client = oras.provider.Registry(insecure=True)
    document: dict[str, Any] = client.get_manifest(
        f"{publisher.repository.name}{reference}", allowed_media_type=[INDEX]
    )
    return document


def test_tags_name_an_index_of_both_platforms(
    publisher: Publisher, both: Sequence[Image], tmp_path: Path
) -> None:
    """oras-py finds both manifests by their platforms, and both sources; the tags move at the end.

    The digest of the index is the same for images with equal files.
    """
    prepared = prepare(publisher, tmp_path / "a", both)
    publisher.push(prepared)
    publisher.check_published(prepared, score)
    assert not image_tags(publisher)
    publisher.move_tags([prepared])
    sources = {f"{tag}-source" for tag in (RELEASE, DATED)}
    assert image_tags(publisher) == {*MOVING, RELEASE, DATED} | sources
    for tag in image_tags(publisher) - sources:
        assert publisher.repository.digest(tag) == prepared.digest
    digests = {each.built.platform: each.package.digest for each in prepared.variants}
    document = get(publisher, ":cpu")
    assert index.platforms(document) == digests
    assert document["annotations"]["org.opencontainers.image.licenses"] == "GPL-3.0-or-later"
    for tag in sources:
        document = get(publisher, f":{tag}")
        assert list(index.platforms(document)) == list(digests)
        client = oras.provider.Registry(insecure=True)
        for digest in index.platforms(document).values():
            manifest = client.get_manifest(f"{publisher.repository.name}@{digest}")
            assert manifest["artifactType"] == publish.SOURCE
    for image, content in zip(both, (b"program 0", b"program 1"), strict=True):
        load(image, content=content, time=CREATED + 5000)
    again = prepare(publisher, tmp_path / "b", both[::-1])
    assert again.digest == prepared.digest
    assert again.tags == prepared.tags
    assert not again.moving


def test_signature_of_the_index_is_found_by_its_tag(
    publisher: Publisher, keys: Callable[[str], Signer], both: Sequence[Image], tmp_path: Path
) -> None:
    """The commands of docs/publish.md succeed for the tag, and not with another key."""
    prepared = publish_all(publisher, tmp_path / "a", both)
    assert publisher.signer
    reference = f"{publisher.repository.name}:cpu"

    def verify(signer: Signer, verb: str, *options: str) -> process.CompletedProcess[str]:
        key = f"--key={signer.public_key}"
        cosign = str(signer.cosign)
        return process.run(cosign, verb, key, "--insecure-ignore-tlog", *options, reference)

    verified = verify(publisher.signer, "verify")
    assert not verified.returncode, verified.stderr
    assert prepared.digest in verified.stdout
    attested = verify(publisher.signer, "verify-attestation", "--type=slsaprovenance1")
    assert not attested.returncode, attested.stderr
    for each in prepared.variants:
        publisher.signer.verify(publisher.repository, each.package.digest)
    refused = verify(keys("other"), "verify")
    assert refused.returncode
    assert "accepted signatures do not match" in refused.stderr
    listed = get(publisher, f":{prepared.digest.replace(':', '-')}")
    kinds = sorted(entry["artifactType"] for entry in listed["manifests"])
    bundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert kinds == sorted([publish.STATEMENT, bundle, bundle])


def test_second_platform_is_added_to_a_release(
    publisher: Publisher, both: Sequence[Image], tmp_path: Path
) -> None:
    """An index with the image that the release has may replace it; another image may not."""
    alone = publish_all(publisher, tmp_path / "a", both[:1])
    assert publisher.repository.digest(RELEASE) == alone.digest
    publisher = replace(publisher, when=WHEN + timedelta(days=1))
    added = publish_all(publisher, tmp_path / "b", both)
    assert publisher.repository.digest(RELEASE) == added.digest
    assert publisher.repository.digest(DATED) == alone.digest
    publisher = replace(publisher, when=WHEN + timedelta(days=2))
    with pytest.raises(UserError, match="has the same releases and other files"):
        prepare(publisher, tmp_path / "c", both[:1])
    alone = prepare(replace(publisher, move=True), tmp_path / "d", both[:1])
    assert publisher.lost(alone) == ["linux/arm64"]


def test_platforms_of_other_releases_have_no_index(
    publisher: Publisher, both: Sequence[Image], tmp_path: Path
) -> None:
    """Images with different releases of libvmaf are refused, and both are named."""
    libvmaf = {**COMPONENTS["libvmaf"], "version": "3.1.0"}
    load(both[1], components={**COMPONENTS, "libvmaf": libvmaf})
    told = "libvmaf is 3.2.0 in vmaf-test-publish:amd64, and 3.1.0 in vmaf-test-publish:arm64"
    with pytest.raises(UserError, match=told):
        prepare(publisher, tmp_path / "a", both)


def test_platform_that_does_not_work_moves_no_tag(
    publisher: Publisher, both: Sequence[Image], tmp_path: Path
) -> None:
    """If one platform does not score video, no tag names the index."""
    prepared = prepare(publisher, tmp_path / "a", both)
    publisher.push(prepared)
    with pytest.raises(UserError, match="does not score video"):
        publisher.check_published(prepared, lambda image, _: image == both[0])
    assert not image_tags(publisher)
    assert not process.output("docker", "image", "ls", "--quiet", publish.PULLED)


def test_signature_of_another_key_is_refused(
    plain: Site, keys: Callable[[str], Signer], publisher: Publisher, tmp_path: Path
) -> None:
    """An image without a signature, or by another key, is refused by its digest."""
    unsigned = make_publisher(plain, None)
    prepared = prepare(unsigned, tmp_path / "a")
    unsigned.push(prepared)
    digest, other = prepared.digest, keys("other")
    for signer in (publisher.signer, other):
        assert signer
        with pytest.raises(UserError, match="no signature by this key"):
            signer.verify(unsigned.repository, digest)
    publisher.push(prepared)
    assert publisher.signer
    publisher.signer.verify(publisher.repository, digest)
    with pytest.raises(UserError, match="no signature by this key"):
        other.verify(publisher.repository, digest)


def test_signature_without_attestations_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    """A signed image without its provenance is not complete."""
    prepared = prepare(publisher, tmp_path / "a")
    digest, signer = prepared.digest, publisher.signer
    (variant,) = prepared.variants
    publisher.repository.push(variant.package.layout, digest)
    assert signer
    signer.attest(publisher.repository, digest, "cyclonedx", variant.directory / "sbom.json")
    signer.sign(publisher.repository, digest)
    with pytest.raises(UserError, match="slsaprovenance1"):
        signer.verify(publisher.repository, digest)


def test_password_is_that_of_docker_login(
    secured: Site, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credentials are those of Docker's configuration, and the CA is the machine's."""
    publisher = make_publisher(secured, signer)
    (tmp_path / "docker").mkdir()
    for password in ("", "wrong", PASSWORD):
        with pytest.raises(RegistryError, match=f"docker login {secured.host}"):
            publisher.repository.tags()
        login = base64.b64encode(f"{USER}:{password}".encode()).decode()
        settings = {"auths": {secured.host: {"auth": login}} if password else {}}
        (tmp_path / "docker" / "config.json").write_text(json.dumps(settings))
    publish_all(publisher, tmp_path / "a")
    assert image_tags(publisher) > MOVING
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(RegistryError, match="Add the CA of the registry"):
        make_publisher(secured, signer).repository.tags()


def test_public_key_is_that_of_the_private_one(
    signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The public key is computed from the private one, with its password only."""
    written = signing.public_key(signer.cosign, signer.key, tmp_path)
    assert written.read_bytes() == Path(signer.public_key).read_bytes()
    monkeypatch.setenv("COSIGN_PASSWORD", "wrong")
    with pytest.raises(UserError, match="COSIGN_PASSWORD"):
        signing.public_key(signer.cosign, signer.key, tmp_path)
