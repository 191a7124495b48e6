"""An IdP on pysaml2, for the tests: one person, signed in without being asked.

    /usr/bin/python3 pysaml2_idp.py PORT FOLDER

FOLDER holds idp.key, idp.crt, sp.xml (the service provider's metadata, read at the first request) and settings.json:
the person's `name_id` and `groups`, `encrypt` (the assertion), `want_signed` (requests).
GET /metadata; GET and POST /sso, /slo; POST /soap; GET /sign-out?binding=redirect|post|soap starts a logout here.
"""

import base64
import html
import json
import pathlib
import re
import sys
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import saml2.entity
import saml2.sigver
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, BINDING_SOAP
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.mdstore import destinations
from saml2.saml import NAME_FORMAT_BASIC, NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

PORT, FOLDER = int(sys.argv[1]), pathlib.Path(sys.argv[2])
BASE = f"http://127.0.0.1:{PORT}"
BINDINGS = {"redirect": BINDING_HTTP_REDIRECT, "post": BINDING_HTTP_POST, "soap": BINDING_SOAP}
SIGNING = {"sign_alg": SIG_RSA_SHA256, "digest_alg": DIGEST_SHA256}

# The library encrypts with triple DES only, unless its template says otherwise.
plain_template = saml2.sigver.pre_encryption_part
saml2.entity.pre_encryption_part = lambda **options: plain_template(
    msg_enc="http://www.w3.org/2009/xmlenc11#aes256-gcm", **options
)
plain_encrypt = saml2.sigver.CryptoBackendXmlSec1.encrypt_assertion


def encrypt_with_aes(self, statement, key, template, key_type="", node_xpath=None, node_id=None):
    return plain_encrypt(self, statement, key, template, "aes-256", node_xpath, node_id)


saml2.sigver.CryptoBackendXmlSec1.encrypt_assertion = encrypt_with_aes


def settings():
    return json.loads((FOLDER / "settings.json").read_text())


def config(with_peer):
    web = (BINDING_HTTP_REDIRECT, BINDING_HTTP_POST)
    endpoints = {
        "single_sign_on_service": [(f"{BASE}/sso", binding) for binding in web],
        "single_logout_service": [(f"{BASE}/slo", binding) for binding in web] + [(f"{BASE}/soap", BINDING_SOAP)],
    }
    idp = {
        "endpoints": endpoints,
        "name_id_format": [NAMEID_FORMAT_PERSISTENT],
        "policy": {"default": {"lifetime": {"minutes": 5}, "attribute_restrictions": None, "name_form": NAME_FORMAT_BASIC}},
    }
    return IdPConfig().load(
        {
            "entityid": f"{BASE}/metadata",
            "service": {"idp": idp},
            "key_file": str(FOLDER / "idp.key"),
            "cert_file": str(FOLDER / "idp.crt"),
            "xmlsec_binary": "/usr/bin/xmlsec1",
            "metadata": {"local": [str(FOLDER / "sp.xml")]} if with_peer else {},
        }
    )


class Peer:
    """What this IdP knows of the one service provider, and the session it has there."""

    server = None
    entity_id = None
    name_id = None
    session_index = None

    @classmethod
    def get(cls):
        if cls.server is None:
            cls.server = Server(config=config(True))
            (cls.entity_id,) = cls.server.metadata.service_providers()
        return cls.server


def check_query_signature(query):
    """The redirect binding's signature, by any of the peer's signing certificates."""
    server = Peer.get()
    for certificate in server.metadata.certs(Peer.entity_id, "any", "signing"):
        if saml2.sigver.verify_redirect_signature(query, server.sec.sec_backend, certificate):
            return
    raise ValueError("the request is not signed by the service provider")


def sign_on(query, binding):
    server, wanted = Peer.get(), settings()
    if wanted["want_signed"] and binding == BINDING_HTTP_REDIRECT:
        check_query_signature(query)
    parsed = server.parse_authn_request(query["SAMLRequest"], binding)
    if wanted["want_signed"] and binding == BINDING_HTTP_POST and not parsed.message.signature:
        raise ValueError("the request carries no signature")
    answer = server.response_args(parsed.message, [BINDING_HTTP_POST])
    Peer.name_id = NameID(format=NAMEID_FORMAT_PERSISTENT, text=wanted["name_id"])
    response = server.create_authn_response(
        {"groups": wanted["groups"], "mail": [wanted["name_id"]]},
        in_response_to=parsed.message.id,
        destination=answer["destination"],
        sp_entity_id=answer["sp_entity_id"],
        name_id=Peer.name_id,
        authn={"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "authn_auth": BASE},
        sign_response=True,
        sign_assertion=True,
        encrypt_assertion=wanted["encrypt"],
        encrypted_advice_attributes=False,
        **SIGNING,
    )
    statements = server.session_db.get_authn_statements(Peer.name_id)
    Peer.session_index = statements[-1][-1].session_index if statements else None
    return form(answer["destination"], "SAMLResponse", str(response), query.get("RelayState", ""))


def log_out(query, binding):
    """The service provider asks (and gets an answer), or answers what `sign_out` asked."""
    server = Peer.get()
    if binding == BINDING_HTTP_REDIRECT:
        check_query_signature(query)
    if "SAMLResponse" in query:
        answer = server.parse_logout_request_response(query["SAMLResponse"], binding)
        return page(f"signed out: {answer.response.status.status_code.value}")
    parsed = server.parse_logout_request(query["SAMLRequest"], binding)
    asked = parsed.message.name_id.text
    if binding == BINDING_HTTP_POST and not parsed.message.signature:
        raise ValueError("the request carries no signature")
    if asked != Peer.name_id.text:
        raise ValueError(f"{asked} is not signed in here")
    Peer.name_id = None
    answer = server.response_args(parsed.message, [binding])
    response = server.create_logout_response(parsed.message, [binding], sign=binding != BINDING_HTTP_REDIRECT, **SIGNING)
    return send(binding, str(response), answer["destination"], query.get("RelayState", ""), True)


def sign_out(query):
    server = Peer.get()
    binding = BINDINGS[query["binding"]]
    services = server.metadata.single_logout_service(Peer.entity_id, binding, "spsso")
    (destination, *_) = destinations(services)
    signs = binding != BINDING_HTTP_REDIRECT
    indexes = [Peer.session_index] if Peer.session_index else None
    _, request = server.create_logout_request(
        destination, Peer.entity_id, name_id=Peer.name_id, session_indexes=indexes, sign=signs, **SIGNING
    )
    if binding != BINDING_SOAP:
        return send(binding, str(request), destination, "", False)
    envelope = server.apply_binding(binding, str(request), destination)["data"]
    sent = urllib.request.Request(destination, str(envelope).encode(), {"Content-Type": "text/xml"})
    with urllib.request.urlopen(sent) as reply:
        envelope = reply.read().decode()
    # The library writes what came by SOAP anew, with prefixes of its own, and then finds no signature but its own right. So the
    # answer is cut out as it came, and read as one that was posted.
    message = re.search(r"<(\w+:LogoutResponse)\b.*</\1>", envelope, re.S).group(0)
    message = base64.b64encode(message.encode()).decode()
    answer = server.parse_logout_request_response(message, BINDING_HTTP_POST)
    return page(f"signed out: {answer.response.status.status_code.value}")


def send(binding, message, destination, relay_state, is_answer):
    if binding == BINDING_HTTP_POST:
        return form(destination, "SAMLResponse" if is_answer else "SAMLRequest", message, relay_state)
    sent = Peer.get().apply_binding(
        binding, message, destination, relay_state, response=is_answer, sign=True, sigalg=SIG_RSA_SHA256
    )
    return 302, dict(sent["headers"]), ""


def form(action, name, message, relay_state):
    fields = {name: base64.b64encode(message.encode()).decode(), "RelayState": relay_state}
    inputs = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in fields.items() if value
    )
    return page(f'<form method="post" action="{html.escape(action)}">{inputs}<button>Continue</button></form>')


def page(body):
    return 200, {"Content-Type": "text/html; charset=utf-8"}, f"<!doctype html><title>IdP</title>{body}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(urllib.parse.urlsplit(self.path).query, BINDING_HTTP_REDIRECT)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.answer(body, BINDING_HTTP_POST)

    def answer(self, text, binding):
        path = urllib.parse.urlsplit(self.path).path
        try:
            query = dict(urllib.parse.parse_qsl(text, keep_blank_values=True)) if path != "/soap" else {}
            if path == "/metadata":
                status, fields, body = 200, {"Content-Type": "text/xml"}, str(entity_descriptor(config(False)))
            elif path == "/sso":
                status, fields, body = sign_on(query, binding)
            elif path == "/slo":
                status, fields, body = log_out(query, binding)
            elif path == "/sign-out":
                status, fields, body = sign_out(query)
            else:
                status, fields, body = 404, {}, "not found"
        except Exception as error:  # Shown to the test, which wants to know.
            status, fields, body = 500, {"Content-Type": "text/plain"}, f"{type(error).__name__}: {error}"
            print(body, file=sys.stderr, flush=True)
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        octets = body.encode()
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, form, *arguments):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
