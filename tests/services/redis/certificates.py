"""
Certificates of servers on the loopback address, made when a test asks for TLS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.services.processes import give, run

if TYPE_CHECKING:
    from pathlib import Path

_REQUEST = """
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = yokedcache tests
[extensions]
subjectAltName = IP:127.0.0.1,DNS:localhost
basicConstraints = critical,CA:TRUE
keyUsage = critical,digitalSignature,keyCertSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@dataclass(frozen=True, slots=True)
class Certificate:
    """
    A key and what vouches for it: itself, so it is its own authority.
    """

    certificate: Path
    key: Path

    def settings(self, port: int) -> dict[str, str]:
        """
        Return what a server needs to show it on this port.
        """
        return {
            "tls-port": str(port),
            "tls-cert-file": str(self.certificate),
            "tls-key-file": str(self.key),
            "tls-ca-cert-file": str(self.certificate),
            "tls-auth-clients": "no",
            # among themselves as well
            "tls-replication": "yes",
        }

    def told(self) -> str:
        """
        Return what a client's URL has to say to check it.
        """
        return urlencode({"ssl_ca_certs": str(self.certificate)})


def make_certificate(openssl: list[str], directory: Path) -> Certificate:
    """
    Make one in a directory of the servers' user.
    """
    request = directory / "request.cnf"
    request.write_text(_REQUEST)
    give(request)
    made = Certificate(directory / "certificate.pem", directory / "key.pem")
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run(
        [
            *(*openssl, "req", "-x509", *kind, "-days", "2"),
            *("-config", request, "-keyout", made.key, "-out", made.certificate),
        ],
        directory=directory,
    )
    return made
