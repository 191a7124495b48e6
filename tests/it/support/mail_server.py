"""A mail server on aiosmtpd, from Debian's package, that keeps what it is given: mail_server.py PORT FOLDER TLS USER PASSWORD

TLS is none, starttls or implicit; without USER nobody signs in. Each mail becomes a file of FOLDER/new, complete when it is
there. Recipients that begin with "unknown" are refused for good, those that begin with "later" for now.
"""
import json
import os
import ssl
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

PORT, FOLDER, TLS, USER, PASSWORD = int(sys.argv[1]), *sys.argv[2:6]


class Keeper:
    count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("unknown"):
            return "550 5.1.1 no such person"
        if address.startswith("later"):
            return "451 4.3.0 not now"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        Keeper.count += 1
        kept = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            # Where TLS begins with the first octet, nothing else is understood.
            "tls": session.ssl is not None or TLS == "implicit",
            "user": session.auth_data.decode() if session.authenticated else None,
            "data": envelope.content.decode("ascii"),
        }
        name = f"{time.time_ns()}-{Keeper.count}"
        with open(os.path.join(FOLDER, "tmp", name), "w", encoding="utf-8") as file:
            json.dump(kept, file)
        os.rename(os.path.join(FOLDER, "tmp", name), os.path.join(FOLDER, "new", name))
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    if mechanism not in ("PLAIN", "LOGIN"):
        return AuthResult(success=False, handled=False)
    right = data.login == USER.encode() and data.password == PASSWORD.encode()
    return AuthResult(success=right, handled=False, auth_data=data.login)


def main():
    for folder in ("tmp", "new"):
        os.makedirs(os.path.join(FOLDER, folder), exist_ok=True)
    settings = {}
    if TLS != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(FOLDER, "cert.pem"), os.path.join(FOLDER, "key.pem"))
        if TLS == "starttls":
            settings = {"tls_context": context, "require_starttls": True}
        else:
            settings = {"ssl_context": context}
    if USER:
        settings |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": TLS == "starttls"}
    Controller(Keeper(), hostname="127.0.0.1", port=PORT, **settings).start()
    print("ready", flush=True)
    while True:
        time.sleep(3600)


main()
