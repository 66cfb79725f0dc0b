"""TLS 1.3 from a shared secret, both sides verified, and no certificate ever handed around.

Both sides derive the same CA key from the plane's secret. Each process signs a random leaf with
it, for a server or for a client as its extended key usage says, and trusts only that CA: a peer
that completes the handshake has the secret, and a client's leaf cannot pose as a server.
"""

import datetime
import functools
import hmac
import os
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hypershell.runtime.limits import opening

_CURVE = ec.SECP256R1()
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # SEC 2, 2.4.2

# Clocks of compute nodes are not to be relied on (one without a battery begins in 1970, or before
# it in some time zones), and a leaf lives as long as its process.
_NOT_BEFORE = datetime.datetime(1950, 1, 1, tzinfo=datetime.timezone.utc)
_NOT_AFTER = datetime.datetime(9999, 12, 31, tzinfo=datetime.timezone.utc)


@functools.lru_cache(maxsize=4)
def server_context(secret: bytes) -> ssl.SSLContext:
    """The context of a server whose peers must hold this 32-byte secret."""
    return _context(secret, ssl.PROTOCOL_TLS_SERVER, ExtendedKeyUsageOID.SERVER_AUTH)


@functools.lru_cache(maxsize=4)
def client_context(secret: bytes) -> ssl.SSLContext:
    """The context of a client that talks only to a server with this 32-byte secret."""
    return _context(secret, ssl.PROTOCOL_TLS_CLIENT, ExtendedKeyUsageOID.CLIENT_AUTH)


def challenge_key(secret: bytes) -> bytes:
    """The key of the manager's own challenge, which runs inside TLS."""
    return hmac.digest(secret, b"manager challenge", "sha256")


def _context(secret: bytes, protocol: int, usage: x509.ObjectIdentifier) -> ssl.SSLContext:
    authority_key = _authority_key(secret)
    authority = _certificate(_name("hyper-shell"), authority_key, authority_key, None)
    leaf_key = ec.generate_private_key(_CURVE)
    leaf = _certificate(_name("peer"), leaf_key, authority_key, usage)
    context = ssl.SSLContext(protocol)
    context.check_hostname = False  # the secret tells who the peer is, not its name
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=_pem(authority).decode())
    _load_leaf(context, _pem(leaf) + _key_pem(leaf_key))
    # A session ticket costs a second record in each handshake, and nobody comes back with one.
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    return context


def _authority_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    # 512 bits reduced modulo the order leave no bias worth a name (FIPS 186-5, A.2.1).
    wide = b"".join(hmac.digest(secret, b"authority %d" % part, "sha256") for part in (1, 2))
    return ec.derive_private_key(int.from_bytes(wide, "big") % (_ORDER - 1) + 1, _CURVE)


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    authority_key: ec.EllipticCurvePrivateKey,
    usage: x509.ObjectIdentifier | None,
) -> x509.Certificate:
    """A certificate signed by the authority; its own, if no usage is given."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_name("hyper-shell"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .add_extension(_key_usage(signs=usage is None), critical=True)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
    return builder.sign(authority_key, hashes.SHA256())


def _key_usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _load_leaf(context: ssl.SSLContext, pem: bytes) -> None:
    """Give the context its certificate; `load_cert_chain` takes only a file, so one in memory."""
    with opening:
        _load_file(context, pem)


def _load_file(context: ssl.SSLContext, pem: bytes) -> None:
    if hasattr(os, "memfd_create") and os.path.exists("/proc/self/fd"):
        descriptor = os.memfd_create("leaf", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        return
    with tempfile.NamedTemporaryFile("wb") as file:  # mode 0600
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
