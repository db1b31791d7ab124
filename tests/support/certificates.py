"""Throw-away certificates, made by the openssl command."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_CA_CONFIG = """
[ca]
default_ca = only
[only]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
policy = anything
copy_extensions = copy
unique_subject = no
[anything]
commonName = supplied
"""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority in a folder."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "ca.pem"

    def server(
        self, name: str, host: str, *, start: str = "20200101000000Z", end: str = "20991231235959Z"
    ) -> ssl.SSLContext:
        """A server context whose certificate is for `host` and valid between two times."""
        key, request, certificate = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        _new_key(key, "req", "-new", "-out", str(request), "-subj", f"/CN={name}", "-addext", f"subjectAltName={host}")
        config = self.folder / "ca.conf"
        config.write_text(_CA_CONFIG.format(folder=self.folder))
        times = ("-startdate", start, "-enddate", end)
        _openssl("ca", "-batch", "-config", str(config), "-in", str(request), "-out", str(certificate), *times)
        return _context(certificate, key)


def make_authority(folder: Path) -> Authority:
    """A new authority that nobody trusts yet."""
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n")
    _new_key(folder / "ca.key", "req", "-x509", "-days", "2", "-out", str(folder / "ca.pem"), "-subj", "/CN=tests")
    return Authority(folder)


def _new_key(key: Path, *command: str) -> None:
    _openssl(*command, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key))


def _openssl(*arguments: str) -> None:
    subprocess.run(("openssl", *arguments), check=True, capture_output=True)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
